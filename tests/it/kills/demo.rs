//! Steps of starting, loading, promoting and auditing.

use std::path::Path;
use std::sync::Mutex;

use super::{Step, both, both_of, demo_command, kill_when_held};
use crate::readers::{FIXTURE, TABLES};
use crate::support::{Running, SeaweedFs, fixture, replay, sized};

/// Threads that kill servers.
const AT_ONCE: usize = 3;

/// A commit of the rows of a landing table; its second, where the fixture has two files.
const FIRST: &str = "/_delta_log/00000000000000000001.json";
const SECOND: &str = "/_delta_log/00000000000000000002.json";
const CREATED: &str = "/_delta_log/00000000000000000000.json";

/// Every named step. A step after the commit of one table is also one between two tables.
fn steps() -> Vec<Step> {
    [
        // The lake itself and its tables.
        both("/system/lake.json", ""),
        both("/system/subject_key.json", ""),
        both("/landing/customer_landing", CREATED),
        both("/landing/customer_landing_rejected", CREATED),
        both("/curated/machine_learning_curated", CREATED),
        both("/system/audit", CREATED),
        // Loads: data files, and the commits of each.
        both("/landing/customer_landing/", ".parquet"),
        both_of("/landing/customer_landing/", ".parquet", 2),
        both("/landing/customer_landing/", FIRST),
        both("/landing/customer_landing/", SECOND),
        both("/landing/accelerometer_landing/", ".parquet"),
        both("/landing/accelerometer_landing/", FIRST),
        both("/landing/step_trainer_landing/", ".parquet"),
        both("/landing/step_trainer_landing/", FIRST),
        // Rejects, which are committed before the rows.
        both("/landing/step_trainer_landing_rejected/", ".parquet"),
        both("/landing/step_trainer_landing_rejected/", FIRST),
        // Promotion.
        both("/trusted/customer_trusted/", ".parquet"),
        both("/trusted/customer_trusted/", FIRST),
        both("/trusted/accelerometer_trusted/", ".parquet"),
        both("/trusted/accelerometer_trusted/", FIRST),
        both("/curated/customer_curated/", ".parquet"),
        both("/curated/customer_curated/", FIRST),
        both("/trusted/step_trainer_trusted/", ".parquet"),
        both("/trusted/step_trainer_trusted/", FIRST),
        both("/curated/machine_learning_curated/", ".parquet"),
        both("/curated/machine_learning_curated/", FIRST),
        // The audit.
        both("/system/audit/", ".parquet"),
        both("/system/audit/", FIRST),
    ]
    .concat()
}

/// The fixture, and a step trainer's file with a record that is rejected.
fn source(folder: &Path) {
    for (name, file) in [
        ("customer", "customers-1.json"),
        ("customer", "customers-2.json"),
        ("accelerometer", "readings-1.json"),
        ("accelerometer", "readings-2.json"),
        ("step_trainer", "steps-1.json"),
    ] {
        std::fs::create_dir_all(folder.join(name)).unwrap();
        let text = std::fs::read_to_string(fixture().join(name).join(file)).unwrap();
        let more = if name == "step_trainer" { "\n{\"broken\":1}\n" } else { "" };
        std::fs::write(folder.join(name).join(file), text + more).unwrap();
    }
}

#[test]
#[cfg_attr(
    not(all(seaweedfs, python_readers)),
    ignore = "SeaweedFS is not installed; tests/run installs it"
)]
fn killed_at_every_step_of_loading_and_promoting() {
    let rounds = sized(1, 3);
    let steps = steps();
    println!("{} steps, {rounds} times each", steps.len());
    let s3 = SeaweedFs::start();
    let direct = s3.environment();
    let folder = tempfile::tempdir().unwrap();
    source(folder.path());
    let work = (0..rounds).flat_map(|round| steps.iter().map(move |step| (round, *step)));
    let work = Mutex::new(work.enumerate());
    let prefixes = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some((number, (_, step))) = work.lock().unwrap().next() else { return };
                    let prefix = format!("kill-{number}");
                    kill_and_complete(&prefix, step, folder.path(), &s3);
                    prefixes.lock().unwrap().push((prefix, step));
                }
            });
        }
    });
    whole(&prefixes.into_inner().unwrap(), &direct);
}

fn kill_and_complete(prefix: &str, step: Step, source: &Path, s3: &SeaweedFs) {
    let state = tempfile::tempdir().unwrap();
    let direct = &s3.environment();
    let proxy = step.proxy(&s3.endpoint(), prefix);
    let mut command = demo_command(state.path(), source, prefix, &proxy.through(direct));
    kill_when_held(&proxy, Running::start(&mut command), step);
    let output = demo_command(state.path(), source, prefix, direct).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", step.name());
}

/// In every lake everything is there once, in as many commits as without the kill.
fn whole(lakes: &[(String, Step)], direct: &[(String, String)]) {
    let rejected = "landing/step_trainer_landing_rejected";
    let expected: Vec<(&str, u64)> =
        TABLES.into_iter().zip(FIXTURE).chain([(rejected, 1)]).collect();
    let tables = expected.iter().map(|(table, _)| *table).chain(["system/audit"]);
    let tables: Vec<String> = lakes
        .iter()
        .flat_map(|(prefix, _)| tables.clone().map(move |table| format!("{prefix}/{table}")))
        .collect();
    let tables: Vec<&str> = tables.iter().map(String::as_str).collect();
    // All at once: starting the interpreter is most of the time.
    let replayed = replay("s3://lake", &tables, direct);
    for (prefix, step) in lakes {
        for (table, rows) in &expected {
            let found = &replayed[&format!("{prefix}/{table}")];
            let all = (found.rows, found.inserted, found.deleted);
            assert_eq!(all, (*rows, *rows, 0), "{table}, killed {}", step.name());
        }
        for derived in &TABLES[3..] {
            let version = replayed[&format!("{prefix}/{derived}")].version;
            assert_eq!(version, 1, "{derived}, killed {}", step.name());
        }
        let audit = &replayed[&format!("{prefix}/system/audit")];
        assert_eq!(audit.rows, audit.distinct, "killed {}", step.name());
    }
}
