//! SIGKILL in the middle of the work: what is in the lake is whole, and the next start completes
//! the rest.

use std::path::Path;
use std::time::{Duration, Instant};

use stedi_server::app::App;
use stedi_server::config::Config;

use crate::support::{Running, TABLES, TestLake, fixture, server};

/// The moments at which the server is killed: as soon as a file like this is in the lake.
const MOMENTS: [(&str, &str); 9] = [
    ("landing/customer_landing", ".parquet"),
    ("landing/customer_landing/_delta_log", "01.json"),
    ("landing/accelerometer_landing/_delta_log", "01.json"),
    ("trusted/customer_trusted", ".parquet"),
    ("trusted/customer_trusted/_delta_log", "01.json"),
    ("trusted/accelerometer_trusted", ".parquet"),
    ("trusted/accelerometer_trusted/_delta_log", "01.json"),
    ("trusted/step_trainer_trusted", ".parquet"),
    ("curated/machine_learning_curated", ".parquet"),
];
const COUNTS: [usize; 8] = [10, 12, 9, 6, 7, 4, 5, 5];

fn demo(folder: &Path) -> std::process::Command {
    let mut command = server();
    command.current_dir(folder).args(["demo", "--exit", "--source"]).arg(fixture());
    command
}

/// Waits until a file with this ending is in the folder; false if the process ended before.
fn seen(running: &mut Running, folder: &Path, ending: &str) -> bool {
    let started = Instant::now();
    loop {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        if names.into_iter().any(|name| name.ends_with(ending)) {
            return true;
        }
        if running.0.try_wait().unwrap().is_some() {
            return false;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{}", folder.display());
        std::thread::sleep(Duration::from_micros(200));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_demo_is_completed_by_the_next() {
    // Only to build the commands before any clock runs.
    server();
    for (place, ending) in MOMENTS {
        let folder = tempfile::tempdir().unwrap();
        let mut running = Running::start(&mut demo(folder.path()));
        let lake = folder.path().join(".stedi/lake");
        assert!(seen(&mut running, &lake.join(place), ending), "{place} {ending} was never seen");
        running.kill();

        // Whatever is there is whole: a table has all its rows or none.
        let config = Config {
            storage: lake.to_str().unwrap().to_owned(),
            state_dir: folder.path().join(".stedi"),
            ..Config::default()
        };
        let app = App::open(&config).await.unwrap();
        for (table, count) in TABLES.into_iter().zip(COUNTS).skip(3) {
            let rows = app.query.table(table).await.unwrap().stats().unwrap().rows as usize;
            assert!(rows == 0 || rows == count, "{place}: {table} has {rows} rows");
        }
        drop(app);

        let output = demo(folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let after = TestLake::open(config, folder).await;
        assert_eq!(after.counts(TABLES).await, COUNTS, "{place} {ending}");
        assert_eq!(after.count("customer_landing_rejected").await, 0);
    }
}
