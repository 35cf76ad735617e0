//! Derived tables: each one commit with its lineage, and none where nothing changed.

use std::collections::BTreeMap;

use serde_json::Value;
use stedi_server::app::App;
use stedi_server::promotion::Mode;

use crate::golden::since_consent;
use crate::support::{TestLake, author, fixture};

const DERIVED: [(&str, &str); 5] = [
    ("trusted", "customer_trusted"),
    ("trusted", "accelerometer_trusted"),
    ("curated", "customer_curated"),
    ("trusted", "step_trainer_trusted"),
    ("curated", "machine_learning_curated"),
];

/// The actions of a commit, read from the log as text.
fn commit(lake: &TestLake, table: &str, version: u64) -> Vec<Value> {
    let file = lake.root().join(table).join(format!("_delta_log/{version:020}.json"));
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn txns(actions: &[Value]) -> BTreeMap<String, i64> {
    let txns = actions.iter().filter_map(|action| action.get("txn"));
    txns.map(|txn| (txn["appId"].as_str().unwrap().to_owned(), txn["version"].as_i64().unwrap()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_table_is_one_commit_with_its_lineage() {
    let lake = TestLake::new().await;
    lake.load_folder(&fixture()).await;
    let modes = lake.promote().await;
    assert!(modes.values().all(|mode| *mode == "rebuild"), "{modes:?}");
    for (zone, table) in DERIVED {
        let actions = commit(&lake, &format!("{zone}/{table}"), 1);
        assert!(actions.iter().any(|action| action.get("add").is_some()), "{table}");
        let mut txns = txns(&actions);
        assert!(txns.remove("stedi:definition").unwrap() >= 0);
        let derived = lake.app.pipeline.derived.iter().find(|d| d.name == table).unwrap();
        let names: Vec<&String> = txns.keys().collect();
        let mut sources: Vec<&String> = derived.sources.iter().collect();
        sources.sort();
        assert_eq!(names, sources, "{table}");
        for (source, version) in txns {
            let current = lake.app.query.table(&source).await.unwrap().version();
            assert_eq!(version as u64, current, "{table} of {source}");
        }
        // One commit: no further version.
        assert_eq!(lake.app.query.table(table).await.unwrap().version(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_changed_no_commit() {
    let lake = TestLake::new().await;
    lake.load_folder(&fixture()).await;
    lake.promote().await;
    lake.load_folder(&fixture()).await;
    // Also not after a restart.
    let again = App::open(&lake.config).await.unwrap();
    let runs = again.promotion.run(&author(), |_| {}).await.unwrap();
    for run in runs {
        assert_eq!((run.mode, run.version), (Mode::Nothing, 1), "{}", run.table);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_lake_is_promoted_to_empty_tables() {
    let lake = TestLake::new().await;
    lake.promote().await;
    assert_eq!(lake.counts(DERIVED.map(|(_, table)| table)).await, [0; 5]);
    assert!(lake.promote().await.values().all(|mode| *mode == "nothing"));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_option_is_another_definition() {
    let lake = TestLake::new().await;
    lake.load_folder(&fixture()).await;
    lake.promote().await;
    let mut config = lake.config.clone();
    config.pipeline = since_consent();
    let since = App::open(&config).await.unwrap();
    let runs = since.promotion.run(&author(), |_| {}).await.unwrap();
    assert!(runs.iter().all(|run| run.mode == Mode::Rebuild), "{runs:?}");
    assert_eq!(lake.counts(DERIVED.map(|(_, table)| table)).await, [6, 4, 3, 3, 2]);
    let runs = since.promotion.run(&author(), |_| {}).await.unwrap();
    assert!(runs.iter().all(|run| run.mode == Mode::Nothing), "{runs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn promotions_at_the_same_moment_all_end_well() {
    let lake = TestLake::new().await;
    lake.load_folder(&fixture()).await;
    let other = App::open(&lake.config).await.unwrap();
    for round in 0..3 {
        let record = format!(
            r#"{{"email":"new{round}@b","lastUpdateDate":1,"shareWithResearchAsOfDate":1}}"#
        );
        lake.load("customer_landing", record).await;
        let author = author();
        let runs = futures::join!(
            lake.app.promotion.run(&author, |_| {}),
            other.promotion.run(&author, |_| {}),
            lake.app.promotion.run(&author, |_| {})
        );
        for outcome in [runs.0, runs.1, runs.2] {
            outcome.unwrap();
        }
    }
    assert_eq!(lake.counts(DERIVED.map(|(_, table)| table)).await, [9, 7, 4, 5, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_holds_no_personal_data() {
    let lake = TestLake::new().await;
    let pii = r#"{"customerName":"Canary","email":"canary@example.com","phone":"canary","birthDay":"canary","lastUpdateDate":1,"shareWithResearchAsOfDate":1}"#;
    lake.load("customer_landing", pii).await;
    lake.load("customer_landing", r#"{"email":"canary@example.com","customerName":"Canary"}"#)
        .await;
    lake.load(
        "accelerometer_landing",
        r#"{"user":"canary@example.com","timestamp":1,"x":1,"y":1,"z":1}"#,
    )
    .await;
    lake.promote().await;
    let mut logs = 0;
    let mut folders = vec![lake.root()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                let text = std::fs::read_to_string(&path).unwrap().to_lowercase();
                assert!(!text.contains("canary"), "{}: {text}", path.display());
                logs += 1;
            }
        }
    }
    assert!(logs > 20, "{logs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn data_files_keep_no_bounds_of_personal_data() {
    use deltalake::parquet::file::reader::{FileReader, SerializedFileReader};
    let lake = TestLake::new().await;
    lake.load_folder(&fixture()).await;
    lake.promote().await;
    let folder = lake.root().join("trusted/customer_trusted");
    let mut checked = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "parquet") {
            continue;
        }
        let reader = SerializedFileReader::new(std::fs::File::open(path).unwrap()).unwrap();
        for column in reader.metadata().row_group(0).columns() {
            let name = column.column_path().string();
            let pii = ["customername", "email", "phone", "birthday"].contains(&name.as_str());
            assert_eq!(column.statistics().is_none(), pii, "{name}");
            checked += 1;
        }
    }
    assert!(checked >= 11, "{checked}");
}
