//! Runs that begin by themselves.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{PATIENCE, Site, each};

async fn of_cause(site: &Site, cause: &str) -> Vec<Value> {
    let list = site.serving.json("/v1/promotions?limit=200").await;
    let runs = list["promotions"].as_array().unwrap().clone();
    runs.into_iter().filter(|run| run["cause"] == cause && run["state"] == "succeeded").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_load() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), "[promotion]\nafter_load_seconds = 1\n").await;
    // Several loads are one run.
    let began = Instant::now();
    site.load_fixture().await;
    // One more for each second that the loads took.
    let most = 2 + began.elapsed().as_secs() as usize;
    let started = Instant::now();
    let runs = loop {
        let runs = of_cause(&site, "load").await;
        if !runs.is_empty() {
            break runs;
        }
        assert!(started.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(runs[0]["principal"], "service");
    assert_eq!(each(&runs[0], "mode").len(), 5);
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let runs = of_cause(&site, "load").await;
    assert!(runs.len() <= most, "{} of {most}", runs.len());
    assert_eq!(site.sql("SELECT count(*) FROM machine_learning_curated").await[0][0], 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn by_a_schedule_each_time_once_for_all_servers() {
    let folder = tempfile::tempdir().unwrap();
    let toml = "[promotion]\nschedule = \"*/2 * * * * *\"\n";
    let one = Site::start(folder.path(), toml).await;
    let _other = Site::start(folder.path(), toml).await;
    let started = Instant::now();
    let runs = loop {
        let runs = of_cause(&one, "schedule").await;
        if runs.len() >= 3 {
            break runs;
        }
        assert!(started.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    // Both servers ask within the same two seconds.
    let times: BTreeSet<i64> =
        runs.iter().map(|run| run["created"].as_i64().unwrap() / 2000).collect();
    assert_eq!(times.len(), runs.len(), "{runs:?}");
}

#[test]
fn a_schedule_that_is_none_is_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stedi.toml");
    std::fs::write(&file, "[promotion]\nschedule = \"every day\"\n").unwrap();
    let mut command = crate::support::server();
    command.current_dir(&folder).args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(file);
    let output = command.output().unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("promotion.schedule: \"every day\" is not a schedule"), "{text}");
}
