//! Maintenance: tables get quick and small, and no row changes.

mod files;
mod http;
mod log;
mod moments;
mod rows;
mod sorted;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use stedi_openapi::{MaintainedState, MaintainedTable, MaintenanceInfo, WorkState};
use stedi_server::app::App;
use stedi_server::config::{Config, MaintenanceConfig};
use stedi_server::ledger::Asker;

use crate::support::{TABLES, TestLake};

/// Everything is due at once, and nothing is kept for longer than it must be.
pub fn eager() -> MaintenanceConfig {
    MaintenanceConfig {
        every_seconds: 0,
        checkpoint_commits: 2,
        min_files: 2,
        lease_seconds: 1,
        log_retention_hours: 0,
        file_retention_hours: 0,
        ..MaintenanceConfig::default()
    }
}

/// Another server of the lake, with this maintenance.
pub async fn keeper(lake: &TestLake, maintenance: MaintenanceConfig) -> App {
    // Nobody is killed here, so no lease has to run out.
    let maintenance = MaintenanceConfig { lease_seconds: 60, ..maintenance };
    let config = Config { maintenance, ..lake.config.clone() };
    App::open(&config).await.unwrap()
}

/// Maintains some tables, all without names, and says how it went.
async fn ordered(app: &App, names: Option<&[String]>) -> MaintenanceInfo {
    let info = app.maintenance.ask(asker(), names, None).await.unwrap();
    let ended = app.maintenance.work().wait(&info.id, Duration::from_secs(120));
    tokio::select! {
        info = ended => info.unwrap(),
        () = app.maintenance.work().keep_working() => panic!("it works until it is told to stop"),
    }
}

fn asker() -> Asker {
    Asker { principal: "test".to_owned(), roles: Vec::new(), request_id: None }
}

/// Maintains tables, all without names; what was done with each.
pub async fn maintain(app: &App, tables: &[&str]) -> BTreeMap<String, MaintainedTable> {
    let names: Vec<String> = tables.iter().map(|table| (*table).to_owned()).collect();
    let names = (!names.is_empty()).then_some(names);
    let info = ordered(app, names.as_deref()).await;
    assert_eq!(info.state, WorkState::Succeeded, "{info:?}");
    for table in &info.what.tables {
        assert_eq!(table.state, MaintainedState::Done, "{table:?}");
    }
    info.what.tables.into_iter().map(|table| (table.table.clone(), table)).collect()
}

/// Maintains some tables, also where a server that was killed still holds them for a moment.
pub async fn maintained(config: &Config) {
    let app = App::open(&Config { maintenance: eager(), ..config.clone() }).await.unwrap();
    let began = Instant::now();
    loop {
        let tables = ["accelerometer_landing", "customer_landing", "accelerometer_trusted"];
        let tables = tables.map(str::to_owned);
        let info = ordered(&app, Some(&tables)).await;
        assert_eq!(info.state, WorkState::Succeeded, "{info:?}");
        if info.what.tables.iter().all(|table| table.state == MaintainedState::Done) {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{info:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Not a test by itself: tests start this binary anew, where the store is another one or the
/// process is killed. Twice, so that also the files go that the first one replaced.
#[tokio::test(flavor = "multi_thread")]
async fn as_a_process_of_its_own() {
    let Ok(storage) = std::env::var("STEDI_TEST_MAINTAIN") else { return };
    let state_dir = PathBuf::from(std::env::var("STEDI_TEST_STATE").unwrap());
    let config = Config { storage, state_dir, ..Config::default() };
    for _ in 0..2 {
        maintained(&config).await;
    }
}

/// The rows of a table, sorted.
pub async fn rows(lake: &TestLake, table: &str) -> Vec<Vec<String>> {
    let mut rows = lake.select(&format!("SELECT * FROM {table}")).await;
    rows.sort();
    rows
}

/// The rows of all tables.
pub async fn all_rows(lake: &TestLake) -> BTreeMap<&'static str, Vec<Vec<String>>> {
    let mut all = BTreeMap::new();
    for table in TABLES {
        all.insert(table, rows(lake, table).await);
    }
    all
}

/// Each derived table is what its SELECT gives over its sources.
pub async fn derived_equal_their_selects(lake: &TestLake, when: &str) {
    for derived in &lake.app.pipeline.derived {
        let sql = derived.sql.replace("$readings", "'all'");
        let mut expected = lake.select(&format!("SELECT DISTINCT * FROM ({sql})")).await;
        expected.sort();
        assert_eq!(rows(lake, &derived.name).await, expected, "{}, {when}", derived.name);
    }
}

/// A table's folder.
pub fn folder(lake: &TestLake, table: &str) -> PathBuf {
    let zones = ["landing", "trusted", "curated", "system"].into_iter();
    let folders = zones.map(|zone| lake.root().join(zone).join(table));
    folders.into_iter().find(|folder| folder.exists()).unwrap()
}

/// Names of the files in a folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    let mut names: Vec<_> =
        files.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Versions whose commits are in a table's log, and those that have checkpoints.
pub fn log_of(lake: &TestLake, table: &str) -> (Vec<u64>, Vec<u64>) {
    let names = names(&folder(lake, table).join("_delta_log"));
    let versions = |ending: &str| {
        let versions = names.iter().filter_map(|name| name.strip_suffix(ending)?.parse().ok());
        versions.collect::<Vec<u64>>()
    };
    (versions(".json"), versions(".checkpoint.parquet"))
}

/// The actions of a commit.
pub fn actions(lake: &TestLake, table: &str, version: u64) -> Vec<Value> {
    let file = folder(lake, table).join(format!("_delta_log/{version:020}.json"));
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Makes a file so many hours old.
pub fn age(file: &Path, hours: u64) {
    let then = SystemTime::now() - Duration::from_secs(hours * 3600);
    std::fs::File::options().write(true).open(file).unwrap().set_modified(then).unwrap();
}

/// Makes all files of a table so many hours old.
pub fn age_all(lake: &TestLake, table: &str, hours: u64) {
    let folder = folder(lake, table);
    for folder in [folder.clone(), folder.join("_delta_log"), folder.join("_change_data")] {
        for name in names(&folder) {
            age(&folder.join(name), hours);
        }
    }
}

/// A reading of somebody, the n-th.
pub fn reading(who: &str, n: usize) -> String {
    format!(r#"{{"user":"{who}@example.com","timestamp":{},"x":{n},"y":0,"z":1}}"#, 1000 + n)
}

/// A customer who consents.
pub fn customer(who: &str, n: usize) -> String {
    format!(
        r#"{{"customerName":"{who}","email":"{who}@example.com","serialNumber":"d-{who}","lastUpdateDate":{},"shareWithResearchAsOfDate":1}}"#,
        1 + n
    )
}
