//! Files that nothing refers to go; all others stay.

use std::path::Path;

use stedi_openapi::{MaintainedState, WorkState};
use stedi_server::config::MaintenanceConfig;
use stedi_server::lake::{Change, Mode, Writer, commit};
use stedi_server::pipeline::stored_columns;

use super::{
    age, age_all, all_rows, customer, derived_equal_their_selects, eager, folder, keeper, maintain,
    names, ordered, reading, rows,
};
use crate::support::{TestLake, author};

/// A lake with a table that has change data, and its files two days old.
async fn changed() -> TestLake {
    let lake = TestLake::new().await;
    for n in 0..3 {
        lake.load("customer_landing", customer(&format!("c{n}"), n)).await;
        lake.load("accelerometer_landing", reading(&format!("c{n}"), n)).await;
        lake.promote().await;
    }
    let withdrawn = customer("c1", 9).replace("OfDate\":1}", "OfDate\":null}");
    lake.load("customer_landing", withdrawn).await;
    assert_eq!(lake.promote().await["accelerometer_trusted"], "subjects");
    age_all(&lake, "accelerometer_trusted", 48);
    lake
}

fn put(file: &Path, hours: u64) {
    std::fs::write(file, "left behind").unwrap();
    age(file, hours);
}

#[tokio::test(flavor = "multi_thread")]
async fn strays_go_when_they_are_old_and_nothing_else_goes() {
    const TABLE: &str = "accelerometer_trusted";
    let lake = changed().await;
    let table = folder(&lake, TABLE);
    let changes = table.join("_change_data");
    let before = (names(&table), names(&changes), names(&table.join("_delta_log")));
    assert!(!before.1.is_empty());
    put(&table.join("part-old.parquet"), 48);
    put(&table.join("part-young.parquet"), 2);
    put(&table.join("notes.txt"), 48);
    // What a local store leaves behind when it is killed; it shows none of these.
    put(&table.join("part-old.parquet#1"), 48);
    put(&table.join("part-young.parquet#2"), 2);
    put(&table.join("_delta_log/00000000000000000099.json#1"), 48);
    put(&changes.join("part-old.parquet"), 48);
    put(&changes.join("part-young.parquet"), 2);
    let config = MaintenanceConfig {
        min_files: 1000,
        checkpoint_commits: 1000,
        file_retention_hours: 24,
        log_retention_hours: 24,
        ..eager()
    };
    let keeper = keeper(&lake, config).await;
    let report = maintain(&keeper, &[TABLE]).await;
    assert_eq!((report[TABLE].files_removed, report[TABLE].bytes_removed), (4, 44));
    let with = |names: &[String], more: &[&str]| {
        let mut names = names.to_vec();
        names.extend(more.iter().map(|name| (*name).to_owned()));
        names.sort();
        names
    };
    assert_eq!(
        names(&table),
        with(&before.0, &["notes.txt", "part-young.parquet", "part-young.parquet#2"])
    );
    assert_eq!(names(&changes), with(&before.1, &["part-young.parquet"]));
    assert_eq!(names(&table.join("_delta_log")), before.2);
    derived_equal_their_selects(&lake, "without strays").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replaced_files_stay_as_long_as_their_versions_can_be_read() {
    const TABLE: &str = "accelerometer_trusted";
    let lake = changed().await;
    let keep = MaintenanceConfig { log_retention_hours: 1000, ..eager() };
    let keeper = keeper(&lake, keep).await;
    let version = maintain(&keeper, &[TABLE]).await[TABLE].version.unwrap();
    let before = all_rows(&lake).await;
    let mut past = Vec::new();
    for version in 0..=version {
        past.push(rows(&lake, &format!("{TABLE} VERSION AS OF {version}")).await);
    }
    let files = names(&folder(&lake, TABLE));
    for _ in 0..2 {
        age_all(&lake, TABLE, 48);
        assert_eq!(maintain(&keeper, &[TABLE]).await[TABLE].files_removed, 0);
    }
    assert_eq!(names(&folder(&lake, TABLE)), files);
    for (version, rows) in past.iter().enumerate() {
        let sql = format!("{TABLE} VERSION AS OF {version}");
        assert_eq!(super::rows(&lake, &sql).await, *rows, "{version}");
    }
    // Without the retention only what is there now stays.
    let now = super::keeper(&lake, eager()).await;
    age_all(&lake, TABLE, 48);
    assert!(maintain(&now, &[TABLE]).await[TABLE].commits_removed > 0);
    assert!(maintain(&now, &[TABLE]).await[TABLE].files_removed > 0);
    let live = lake.app.query.table(TABLE).await.unwrap().stats().unwrap().files;
    let files = names(&folder(&lake, TABLE));
    assert_eq!(files.iter().filter(|name| name.ends_with(".parquet")).count() as u64, live);
    assert!(names(&folder(&lake, TABLE).join("_change_data")).is_empty());
    assert_eq!(all_rows(&lake).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_wait_for_their_commit_stay() {
    const TABLE: &str = "step_trainer_landing";
    let lake = TestLake::new().await;
    let step = r#"{"sensorReadingTime":1,"serialNumber":"d","distanceFromObject":1}"#;
    lake.load(TABLE, step).await;
    // A load that has written its rows, and takes its time.
    let table = lake.app.lake.table("landing", TABLE).await.unwrap().unwrap();
    let declared = lake.app.pipeline.tables().into_iter().find(|it| it.name == TABLE).unwrap();
    let mut writer = Writer::new(&table, &stored_columns(&declared.columns));
    let session = lake.app.lake.sessions().session();
    table.register(&session, "t").await.unwrap();
    for batch in session.sql("SELECT * FROM t").await.unwrap().collect().await.unwrap() {
        writer.write(&batch).await.unwrap();
    }
    let written = writer.finish().await.unwrap();
    let config = MaintenanceConfig { file_retention_hours: 24, ..eager() };
    let keeper = keeper(&lake, config).await;
    assert_eq!(maintain(&keeper, &[TABLE]).await[TABLE].files_removed, 0);
    let change = Change {
        mode: Mode::Append,
        columns: None,
        written,
        txns: vec![("late".to_owned(), 1)],
        author: author(),
        info: serde_json::json!({ "operation": "load" }),
    };
    commit(&lake.app.lake, "landing", &table, change).await.unwrap();
    assert_eq!(lake.count(TABLE).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_file_of_the_table_is_missing_nothing_is_removed() {
    const TABLE: &str = "accelerometer_landing";
    let lake = changed().await;
    let table = folder(&lake, TABLE);
    let lost = names(&table).remove(0);
    std::fs::remove_file(table.join(lost)).unwrap();
    put(&table.join("part-old.parquet"), 48);
    let keeper = keeper(&lake, eager()).await;
    let names = [TABLE.to_owned(), "customer_landing".to_owned()];
    let info = ordered(&keeper, Some(&names)).await;
    assert_eq!(info.state, WorkState::Failed);
    let states: Vec<_> = info.what.tables.iter().map(|it| (it.table.as_str(), it.state)).collect();
    // The other table is maintained all the same.
    let expected = [("customer_landing", MaintainedState::Done), (TABLE, MaintainedState::Failed)];
    assert_eq!(states, expected);
    let error = info.what.tables[1].error.as_ref().unwrap();
    assert_eq!(error.code, "internal");
    assert!(table.join("part-old.parquet").exists());
}
