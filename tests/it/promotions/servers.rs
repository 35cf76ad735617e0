//! Several servers on one lake: one run at a time, and none is lost with its server.

use serde_json::{Value, json};

use super::{Site, each, table};
use crate::support::{SeaweedFs, Serving, replay};

const QUICK: &str = "[promotion]\nlease_seconds = 2\n";

#[tokio::test(flavor = "multi_thread")]
async fn another_server_finishes_what_a_killed_one_began() {
    let folder = tempfile::tempdir().unwrap();
    let one = Site::troubled(folder.path(), QUICK).await;
    let other = Site::troubled(folder.path(), QUICK).await;
    // Slow enough to be seen running.
    one.load_numbers(500).await;
    let run = one.ask(&["good", "slow"]).await;
    let id = run["id"].as_str().unwrap();
    let run = one.until(id, |run| table(run, "slow")["state"] == "running").await;
    assert_eq!(table(&run, "good")["mode"], "rebuild");
    // The first time it is another server's as likely as not that carries it out.
    one.serving.process.kill();
    let left = other;
    let run = left.ended(id).await;
    assert_eq!(run["state"], "succeeded", "{run}");
    // What was done before is not told anew.
    assert_eq!(each(&run, "mode"), [("good", "rebuild"), ("slow", "rebuild")]);
    assert_eq!(left.sql("SELECT count(*) FROM slow").await, json!([[500]]));
    left.sql_becomes("SELECT id, state FROM system.runs", json!([[id, "succeeded"]])).await;
    let history = left.serving.json("/v1/tables/slow/history").await;
    assert_eq!(history["versions"].as_array().unwrap().len(), 2, "{history}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_leaves_its_run_to_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let one = Site::troubled(folder.path(), "").await;
    // 10^9 triples: longer than anybody waits.
    one.load_numbers(990).await;
    let run = one.ask(&["good", "slow"]).await;
    let id = run["id"].as_str().unwrap();
    one.until(id, |run| table(run, "slow")["state"] == "running").await;
    let told = std::time::Instant::now();
    assert_eq!(one.serving.process.terminate(), Some(0));
    assert!(told.elapsed().as_secs() < 10, "{:?}", told.elapsed());
    // The lease was given back: nobody waits for it to run out.
    let next = Site::troubled(folder.path(), "").await;
    let goes_on = |run: &Value| run["attempts"] == 2 && table(run, "slow")["state"] == "running";
    let run = next.until(id, goes_on).await;
    assert_eq!(each(&run, "mode")[0], ("good", "rebuild"), "{run}");
    next.cancel(id).await;
    assert_eq!(next.ended(id).await["state"], "cancelled");
}

/// The rows of two servers' promotions on S3, as a program of its own reads them.
#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(
    not(all(seaweedfs, python_readers)),
    ignore = "SeaweedFS is not installed; tests/run installs it"
)]
async fn two_admins_on_two_servers_on_s3() {
    let s3 = SeaweedFs::start();
    let environment = s3.environment();
    let folder = tempfile::tempdir().unwrap();
    let start = async || {
        let serving = Serving::start_with(folder.path(), QUICK, |command| {
            command.args(["--storage", "s3://lake/two"]).envs(environment.clone());
        });
        Site { serving: serving.await }
    };
    let sites = [start().await, start().await];
    sites[0].load_fixture().await;
    for round in 0..3 {
        let record = json!({ "email": format!("n{round}@x"), "lastUpdateDate": 1, "shareWithResearchAsOfDate": 1 });
        sites[round % 2].load("customer_landing", record.to_string()).await;
        let asks = sites.iter().chain(&sites).map(|site| site.promote(&[]));
        let runs: Vec<Value> = futures::future::join_all(asks).await;
        let mut times: Vec<(i64, i64)> = Vec::new();
        let mut changed = 0;
        for run in &runs {
            assert_eq!(run["state"], "succeeded", "{run}");
            times.push((run["started"].as_i64().unwrap(), run["finished"].as_i64().unwrap()));
            changed += usize::from(table(run, "customer_trusted")["mode"] != "nothing");
        }
        assert_eq!(changed, 1, "each change is taken in once: {runs:?}");
        // One at a time, whichever server.
        times.sort_unstable();
        assert!(times.windows(2).all(|two| two[0].1 <= two[1].0), "{times:?}");
    }
    let found =
        replay("s3://lake", &["two/trusted/customer_trusted", "two/system/runs"], &environment);
    assert_eq!(found["two/trusted/customer_trusted"].rows, 9);
    assert_eq!(found["two/system/runs"].rows, 12);
    assert_eq!(found["two/system/runs"].distinct, 12);
}
