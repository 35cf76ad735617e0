//! Tables that fail, and runs that are cancelled.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Site, each, table};

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_fails_hides_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::troubled(folder.path(), "").await;
    site.load("numbers", r#"{"k":"a","n":7} {"k":"b","n":8}"#).await;
    let run = site.promote(&[]).await;
    assert_eq!(run["state"], "failed");
    assert_eq!(table(&run, "bad")["error"]["code"], "promotion_failed");
    let detail = table(&run, "bad")["error"]["detail"].as_str().unwrap();
    assert!(detail.contains("table bad"), "{detail}");
    assert!(!detail.to_lowercase().contains("divide"), "{detail}");
    assert_eq!(table(&run, "behind")["state"], "skipped");
    assert_eq!(table(&run, "behind")["mode"], "skipped");
    assert_eq!(table(&run, "behind")["why"], "bad is not up to date");
    assert_eq!(table(&run, "behind_both")["why"], "behind is not up to date");
    for name in ["good", "checked", "slow"] {
        assert_eq!(table(&run, name)["state"], "succeeded", "{run}");
    }
    assert_eq!(site.sql("SELECT k FROM good ORDER BY k").await, json!([["a"], ["b"]]));
    site.sql_becomes("SELECT state FROM system.runs", json!([["failed"]])).await;
    // Named alone, what it reads is taken as it is.
    let run = site.promote(&["behind"]).await;
    assert_eq!(each(&run, "state"), [("behind", "succeeded")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_while_it_runs_and_while_it_waits() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::troubled(folder.path(), "").await;
    // 10^9 triples: longer than anybody waits.
    site.load_numbers(990).await;
    let running = site.ask(&["good", "slow"]).await;
    let running = running["id"].as_str().unwrap();
    let waiting = site.ask(&["good"]).await;
    let waiting = waiting["id"].as_str().unwrap();
    let next = site.ask(&["checked"]).await;
    site.until(running, |run| table(run, "slow")["state"] == "running").await;

    let run = site.cancel(waiting).await;
    assert_eq!(run["state"], "cancelled");
    assert_eq!(each(&run, "state"), [("good", "cancelled")]);

    let told = Instant::now();
    site.cancel(running).await;
    let run = site.ended(running).await;
    assert!(told.elapsed() < Duration::from_secs(20), "{:?}", told.elapsed());
    assert_eq!(run["state"], "cancelled");
    // What was done stays, what was not is not there.
    assert_eq!(table(&run, "good")["state"], "succeeded");
    assert_eq!(table(&run, "slow")["state"], "cancelled");
    assert_eq!(table(&run, "slow")["version"], Value::Null);
    assert_eq!(site.sql("SELECT count(*) FROM slow").await, json!([[0]]));
    assert_eq!(site.sql("SELECT count(*) FROM good").await, json!([[990]]));

    // Others go on, and one that has ended stays as it is.
    let run = site.ended(next["id"].as_str().unwrap()).await;
    assert_eq!(run["state"], "succeeded");
    assert_eq!(site.cancel(run["id"].as_str().unwrap()).await, run);
    let states = "SELECT state, count(*) FROM system.runs GROUP BY state ORDER BY state";
    site.sql_becomes(states, json!([["cancelled", 2], ["succeeded", 1]])).await;
}
