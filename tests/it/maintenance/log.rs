//! Cleanup of the log: what was promised can be read, what is not there is said.

use serde_json::json;
use stedi_server::auth::Role;
use stedi_server::config::MaintenanceConfig;

use super::{
    age, age_all, derived_equal_their_selects, eager, folder, keeper, log_of, maintain, reading,
    rows,
};
use crate::support::{TestLake, TestServer};

const STEPS: &str = "step_trainer_landing";

fn step(n: u64) -> String {
    format!(r#"{{"sensorReadingTime":{},"serialNumber":"d","distanceFromObject":{n}}}"#, n + 1)
}

/// Nothing is compacted, so that versions are those of the loads.
fn no_compaction() -> MaintenanceConfig {
    MaintenanceConfig { min_files: 1000, checkpoint_commits: 1, ..eager() }
}

/// A lake whose step trainer table has as many rows as its version says, a checkpoint of version 3,
/// and whose commits up to version 4 are two days old.
async fn old_and_new() -> TestLake {
    let lake = TestLake::new().await;
    let first =
        keeper(&lake, MaintenanceConfig { log_retention_hours: 1, ..no_compaction() }).await;
    for n in 1..=3 {
        lake.load(STEPS, step(n)).await;
    }
    let report = maintain(&first, &[STEPS]).await;
    assert_eq!(report[STEPS].checkpoint, Some(3));
    for n in 4..=8 {
        lake.load(STEPS, step(n)).await;
    }
    for version in 0..=4 {
        age(&folder(&lake, STEPS).join(format!("_delta_log/{version:020}.json")), 48);
    }
    lake
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_within_the_retention_are_read_and_older_ones_are_said_to_be_gone() {
    let lake = old_and_new().await;
    let server = TestServer::start(&lake.config).await;
    let count = |clause: String| format!("SELECT count(*) FROM {STEPS} {clause}");
    // The server has opened them all.
    for version in 0..=8 {
        let sql = count(format!("VERSION AS OF {version}"));
        assert_eq!(server.rows(Role::Admin, &sql).await, json!([[version]]));
    }
    let keeper =
        keeper(&lake, MaintenanceConfig { log_retention_hours: 24, ..no_compaction() }).await;
    let report = maintain(&keeper, &[STEPS]).await;
    assert_eq!((report[STEPS].commits_removed, report[STEPS].checkpoint), (3, Some(8)));
    assert_eq!(log_of(&lake, STEPS), ((3..=8).collect(), vec![3, 8]));
    let table = lake.app.lake.table("landing", STEPS).await.unwrap().unwrap();
    let commits = table.readable().await.unwrap();
    let other = TestServer::start(&lake.config).await;
    for server in [&server, &other] {
        for commit in &commits {
            let rows = json!([[commit.version]]);
            let sql = count(format!("VERSION AS OF {}", commit.version));
            assert_eq!(server.rows(Role::Admin, &sql).await, rows);
        }
        let sql = count(format!("TIMESTAMP AS OF {}", commits[5].millis));
        assert_eq!(server.rows(Role::Admin, &sql).await, json!([[8]]));
        for (clause, says) in [
            ("VERSION AS OF 2".to_owned(), "its history begins with version 3"),
            ("VERSION AS OF 0".to_owned(), "its history begins with version 3"),
            (format!("TIMESTAMP AS OF {}", commits[0].millis - 1), "its history begins at"),
        ] {
            let answer = server.sql(Role::Admin, &count(clause.clone())).await;
            assert_eq!(answer.problem(), (422, "no_such_version".to_owned()), "{clause}");
            assert!(answer.detail().contains(says), "{clause}: {}", answer.detail());
        }
    }
    // The history of the table shows what is left.
    let admin = other.token(Role::Admin);
    let (_, history) = other.json(&format!("/v1/tables/{STEPS}/history"), Some(&admin)).await;
    assert_eq!(history["versions"].as_array().unwrap().len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cleanup_that_was_cut_short_is_said_and_completed() {
    let lake = old_and_new().await;
    let log = folder(&lake, STEPS).join("_delta_log");
    for version in 0..=1 {
        std::fs::remove_file(log.join(format!("{version:020}.json"))).unwrap();
    }
    let server = TestServer::start(&lake.config).await;
    let sql = |version| format!("SELECT count(*) FROM {STEPS} VERSION AS OF {version}");
    assert_eq!(server.rows(Role::Admin, &sql(3)).await, json!([[3]]));
    let answer = server.sql(Role::Admin, &sql(2)).await;
    assert_eq!(answer.problem(), (422, "no_such_version".to_owned()));
    assert!(answer.detail().contains("begins with version 3"), "{}", answer.detail());
    let keeper =
        keeper(&lake, MaintenanceConfig { log_retention_hours: 24, ..no_compaction() }).await;
    assert_eq!(maintain(&keeper, &[STEPS]).await[STEPS].commits_removed, 1);
    assert_eq!(log_of(&lake, STEPS).0, (3..=8).collect::<Vec<_>>());
    assert_eq!(rows(&lake, STEPS).await.len(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_table_that_lags_behind_needs_stays() {
    const SOURCE: &str = "accelerometer_landing";
    const DERIVED: &str = "accelerometer_trusted";
    let lake = TestLake::new().await;
    lake.load("customer_landing", super::customer("a", 0)).await;
    for n in 0..3 {
        lake.load(SOURCE, reading("a", n)).await;
    }
    lake.promote().await;
    let keeper = keeper(&lake, eager()).await;
    // Many readings come, and are compacted again and again; nothing is promoted.
    for n in 3..12 {
        lake.load(SOURCE, reading("a", n)).await;
        age_all(&lake, SOURCE, 48);
        let report = maintain(&keeper, &[]).await;
        let kept = &report[SOURCE].log_kept_for;
        assert!(n < 5 || kept.contains(&DERIVED.to_owned()), "{report:?}");
    }
    let (commits, checkpoints) = log_of(&lake, SOURCE);
    assert!(checkpoints.len() >= 3, "{checkpoints:?}");
    assert!(commits.len() > 12, "{commits:?}");
    // All of it is still told apart from what was known before.
    let modes = lake.promote().await;
    assert_eq!(modes[DERIVED], "append", "{modes:?}");
    assert_eq!(rows(&lake, DERIVED).await.len(), 12);
    derived_equal_their_selects(&lake, "behind").await;
    // Now nobody needs it any more.
    age_all(&lake, SOURCE, 48);
    let report = maintain(&keeper, &[SOURCE]).await;
    assert!(report[SOURCE].commits_removed > 9, "{report:?}");
    assert!(report[SOURCE].log_kept_for.is_empty());
    age_all(&lake, SOURCE, 48);
    let report = maintain(&keeper, &[SOURCE]).await;
    assert!(report[SOURCE].files_removed > 9, "{report:?}");
    assert_eq!(rows(&lake, SOURCE).await.len(), 12);
    assert!(lake.promote().await.values().all(|mode| *mode == "nothing"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_file_of_the_past_means_a_rebuild() {
    const SOURCE: &str = "accelerometer_landing";
    let lake = TestLake::new().await;
    lake.load("customer_landing", super::customer("a", 0)).await;
    lake.promote().await;
    for n in 0..3 {
        lake.load(SOURCE, reading("a", n)).await;
    }
    let before = super::names(&folder(&lake, SOURCE));
    let keeper = keeper(&lake, eager()).await;
    maintain(&keeper, &[SOURCE]).await;
    // Somebody else's VACUUM.
    for name in before {
        std::fs::remove_file(folder(&lake, SOURCE).join(name)).unwrap();
    }
    let modes = lake.promote().await;
    assert_eq!(modes["accelerometer_trusted"], "rebuild", "{modes:?}");
    derived_equal_their_selects(&lake, "after a loss").await;
}
