//! What compaction writes: sorted files, and nothing personal in any metadata. Other readers read it.

use std::path::Path;

use deltalake::parquet::file::reader::{FileReader, SerializedFileReader};

use super::{all_rows, customer, eager, folder, keeper, log_of, maintain, names, reading, rows};
use crate::readers::{TABLES, counts};
use crate::support::{TestLake, fixture, python, replay};

/// A filled lake in many files, maintained as often as it takes.
async fn maintained() -> TestLake {
    let lake = TestLake::new().await;
    lake.load_folder(&fixture()).await;
    lake.promote().await;
    let keeper = keeper(&lake, eager()).await;
    for round in 0..4 {
        for n in 0..3 {
            let who = format!("canary{}", (round + n) % 4);
            lake.load("customer_landing", customer(&who, round)).await;
            lake.load("accelerometer_landing", reading(&who, 10 * round + n)).await;
        }
        lake.load("customer_landing", r#"{"email":"canary@example.com","phone":"canary"}"#).await;
        lake.promote().await;
        let before = all_rows(&lake).await;
        maintain(&keeper, &[]).await;
        assert_eq!(all_rows(&lake).await, before);
    }
    lake
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_sorted_by_whose_they_are() {
    let lake = maintained().await;
    for (table, by) in [
        ("accelerometer_landing", "subject_id"),
        ("customer_landing", "subject_id"),
        ("customer_landing_rejected", "subject_id"),
        ("accelerometer_trusted", "subject_id"),
    ] {
        let opened = lake.app.query.table(table).await.unwrap();
        assert_eq!(opened.stats().unwrap().files, 1, "{table}");
        // As the file has them.
        let held = lake.select(&format!("SELECT {by} FROM {table}")).await;
        let keys: Vec<&String> =
            held.iter().map(|row| &row[0]).filter(|key| *key != "NULL").collect();
        assert!(!keys.is_empty() && keys.is_sorted(), "{table}: {keys:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_metadata_holds_personal_data() {
    const PII: [&str; 6] = ["customername", "email", "phone", "birthday", "raw", "file"];
    let lake = maintained().await;
    let (mut checkpoints, mut columns) = (0, 0);
    for table in
        ["customer_landing", "customer_landing_rejected", "customer_trusted", "customer_curated"]
    {
        let folder = folder(&lake, table);
        for name in names(&folder).iter().filter(|name| name.ends_with(".parquet")) {
            let file = std::fs::File::open(folder.join(name)).unwrap();
            let reader = SerializedFileReader::new(file).unwrap();
            for column in reader.metadata().row_groups().iter().flat_map(|group| group.columns()) {
                let name = column.column_path().string();
                assert_eq!(column.statistics().is_none(), PII.contains(&name.as_str()), "{name}");
                columns += 1;
            }
        }
        let log = folder.join("_delta_log");
        for name in names(&log) {
            match name.ends_with(".parquet") {
                true => {
                    let file = std::fs::File::open(log.join(&name)).unwrap();
                    let rows = SerializedFileReader::new(file).unwrap();
                    let rows = rows.get_row_iter(None).unwrap();
                    let text: String = rows.map(|row| row.unwrap().to_string()).collect();
                    assert!(text.contains("numRecords"), "{text}");
                    assert!(!personal(&text), "{text}");
                    checkpoints += 1;
                }
                false => {
                    let text = std::fs::read_to_string(log.join(&name)).unwrap();
                    assert!(!personal(&text), "{name}: {text}");
                }
            }
        }
    }
    assert!(checkpoints >= 4 && columns > 40, "{checkpoints} {columns}");
}

/// Whether a name or an address is in a text; a serial number may hold the word.
fn personal(text: &str) -> bool {
    ["\"canary", "\\\"canary", "canary@"].iter().any(|part| text.to_lowercase().contains(part))
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(python_readers), ignore = "pyarrow is not installed; tests/run installs it")]
async fn other_programs_read_it() {
    let lake = maintained().await;
    let root = lake.root();
    let root = root.to_str().unwrap();
    let mut expected = Vec::new();
    for table in TABLES {
        expected.push(lake.count(table.split('/').nth(1).unwrap()).await as u64);
    }
    for script in ["count_deltalake.py", "count_duckdb.py"] {
        assert_eq!(counts(script, root, &[]), expected, "{script}");
    }
    // The replay checks every version that is left against its change feed, and every checkpoint
    // against its commits.
    let arguments = ["check", "--removed", root].into_iter().chain(TABLES).collect::<Vec<_>>();
    let text = python("replay.py", &arguments, &[]);
    for ((line, table), rows) in text.lines().zip(TABLES).zip(&expected) {
        let found: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(found["rows"], *rows, "{table}: {found}");
        let checkpoints = found["checkpoints"].as_array().unwrap().len();
        assert!(checkpoints > 0 || table.contains("step"), "{table}: {found}");
    }
}

/// With all of the log the change feed of every version adds up, compactions included.
#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(python_readers), ignore = "pyarrow is not installed; tests/run installs it")]
async fn the_change_feed_knows_nothing_of_compaction() {
    let lake = TestLake::new().await;
    let config = stedi_server::config::MaintenanceConfig { log_retention_hours: 1000, ..eager() };
    let keeper = keeper(&lake, config).await;
    for n in 0..6 {
        lake.load("customer_landing", customer(&format!("c{n}"), n)).await;
        lake.load("accelerometer_landing", reading(&format!("c{n}"), n)).await;
        if n == 4 {
            let withdrawn = customer("c1", 9).replace("OfDate\":1}", "OfDate\":null}");
            lake.load("customer_landing", withdrawn).await;
        }
        lake.promote().await;
        maintain(&keeper, &[]).await;
    }
    let (_, checkpoints) = log_of(&lake, "accelerometer_trusted");
    assert!(checkpoints.len() > 1, "{checkpoints:?}");
    let root = lake.root();
    let root = root.to_str().unwrap();
    let replayed = replay(root, &TABLES, &[]);
    let landing = &replayed["landing/accelerometer_landing"];
    assert_eq!((landing.rows, landing.inserted, landing.deleted), (6, 6, 0));
    let trusted = &replayed["trusted/accelerometer_trusted"];
    assert_eq!((trusted.rows, trusted.inserted, trusted.deleted), (5, 6, 1));
    assert_eq!(
        trusted.txns["accelerometer_landing"],
        lineage(&lake, "accelerometer_trusted").await
    );
    // delta-rs' own reader of the change feed, by another build of it.
    for (table, changes) in
        [("landing/accelerometer_landing", 6), ("trusted/accelerometer_trusted", 7)]
    {
        let path = Path::new(root).join(table);
        let count = python("count_changes.py", &[path.to_str().unwrap()], &[]);
        assert_eq!(count.trim().parse::<u64>().unwrap(), changes, "{table}");
    }
    assert_eq!(rows(&lake, "accelerometer_trusted").await.len(), 5);
}

/// The version of its readings that a table knows.
async fn lineage(lake: &TestLake, table: &str) -> i64 {
    let table = lake.app.query.table(table).await.unwrap();
    table.txn("accelerometer_landing").await.unwrap().unwrap()
}
