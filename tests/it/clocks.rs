//! A server whose clock is an hour ahead, or behind: what it cannot accept it says clearly, no table is
//! broken by it, and with its clock set right everything goes on by itself.
//!
//! Only its wall clock is changed (libfaketime), as by a wrong setting: time passes as it does.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use stedi_server::config::Config;

use crate::support::{Serving, Site, TestLake, customer};
use crate::writers::share_keys;

const HOUR: i64 = 3600;
/// Whose keys the others have.
const FIRST: &str = "first";
const TOML: &str = "[consent]\ngrace_seconds = 0\nlease_seconds = 2\n[promotion]\nlease_seconds = 2\n\
    [maintenance]\nevery_seconds = 0\nlease_seconds = 2\nmin_files = 2\n[lake]\nstaleness_ms = 0\n";

/// A server with a state of its own on the lake of a folder.
async fn start(folder: &Path, name: &str, ahead: i64) -> Site {
    let own = folder.join(name);
    std::fs::create_dir_all(&own).unwrap();
    if name != FIRST {
        share_keys(&folder.join(FIRST).join(".stedi"), &own.join(".stedi"));
    }
    let library = Path::new(env!("STEDI_TEST_VENV")).join("faketime/libfaketime.so.1");
    let mut serving = Serving::start_with(&own, TOML, |command| {
        command.arg("--storage").arg(folder.join("lake"));
        if ahead != 0 {
            command.env("LD_PRELOAD", library).env("FAKETIME", format!("{ahead:+}"));
            // Timeouts are by the other clock, which the kernel reads by itself.
            command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
    })
    .await;
    serving.ahead = ahead;
    Site { serving }
}

async fn steps(site: &Site, from: u64) {
    let reading = |time| {
        let reading = json!({ "sensorReadingTime": time, "serialNumber": "serial-of-bob",
            "distanceFromObject": 1 });
        format!("{reading}\n")
    };
    let text: String = (from..from + 10).map(reading).collect();
    site.load("step_trainer_landing", text).await;
}

/// What was asked for has come to its good end.
async fn succeeds(site: &Site, path: &str, body: Value) -> Value {
    let (status, work) = site.answer(site.post(path).json(&body)).await;
    assert!([200, 201, 202].contains(&status), "{path}: {work}");
    let id = work["id"].as_str().unwrap();
    let ended = site.ended(&format!("{path}/{id}")).await;
    assert_eq!(ended["state"], "succeeded", "{path}: {ended}");
    ended
}

/// Everything once: rows, a consent, a promotion, maintenance, a revocation, a snapshot.
async fn everything(site: &Site, name: &str, from: u64) {
    site.load("customer_landing", customer(name, 10, 1000)).await;
    steps(site, from).await;
    site.promote().await;
    succeeds(site, "/v1/maintenance", json!({})).await;
    let named = json!({ "email": format!("{name}@rev"), "reason": "by letter" });
    succeeds(site, "/v1/revocations", named).await;
    site.promote().await;
    let made = site.answer(site.post("/v1/snapshots").json(&json!({}))).await;
    assert!([200, 201].contains(&made.0), "{made:?}");
    let trusted = format!("SELECT count(*) FROM customer_trusted WHERE email = '{name}@rev'");
    assert_eq!(site.sql(&trusted).await, json!([[0]]));
}

async fn apart(ahead: i64, code: &str, says: &str) {
    let folder = tempfile::tempdir().unwrap();
    let right = start(folder.path(), FIRST, 0).await;
    right.customers(&["ada", "bob"]).await;
    let wrong = start(folder.path(), "second", ahead).await;

    // A token of now is refused by whoever thinks that it is not now, and told why.
    let token = right.serving.token(stedi_server::auth::Role::Admin, "admin");
    let url = format!("{}/v1/tables", wrong.serving.url);
    let refused = wrong.answer(wrong.serving.http.get(url).bearer_auth(token)).await;
    assert_eq!((refused.0, refused.1["code"].as_str().unwrap()), (401, code), "{refused:?}");
    assert!(refused.1["detail"].as_str().unwrap().contains(says), "{refused:?}");

    // Each does all of its work between the other's.
    everything(&wrong, "carl", 1000).await;
    everything(&right, "dora", 2000).await;
    steps(&wrong, 3000).await;
    wrong.promote().await;
    steps(&right, 4000).await;
    // The one dies in the middle of work, and the other one ends it.
    let begun = wrong.answer(wrong.post("/v1/promotions").json(&json!({}))).await;
    wrong.serving.process.kill();
    let run = format!("/v1/promotions/{}", begun.1["id"].as_str().unwrap());
    assert_eq!(right.ended(&run).await["state"], "succeeded");
    // Time travel is by the clock of the store, whoever wrote.
    let all = "SELECT count(*) FROM step_trainer_landing";
    let rows = right.sql(all).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let then = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    steps(&right, 5000).await;
    let past = format!("{all} TIMESTAMP AS OF '{then}'");
    assert_eq!(right.sql(&past).await, rows);

    // Its clock was set right.
    let again = start(folder.path(), "second", 0).await;
    everything(&again, "emil", 6000).await;
    // Who comes back comes back, also after a revocation by a clock that was ahead.
    let later = chrono::Utc::now().timestamp_millis() + 2 * HOUR * 1000;
    again.load("customer_landing", customer("carl", later, later)).await;
    again.promote().await;
    let trusted = "SELECT count(*) FROM customer_trusted WHERE email IN ('carl@rev', 'bob@rev')";
    assert_eq!(again.sql(trusted).await, json!([[2]]));
    for site in [right, again] {
        assert_eq!(site.serving.process.terminate(), Some(0));
    }
    let storage = folder.path().join("lake").to_str().unwrap().to_owned();
    let state_dir = folder.path().join(FIRST).join(".stedi");
    let config = Config { storage, state_dir, ..Config::default() };
    let lake = TestLake::open(config, folder).await;
    lake.is_derived().await;
    let rows = lake.sorted("SELECT sensorreadingtime, count(*) FROM step_trainer_landing WHERE sensorreadingtime >= 1000 GROUP BY 1");
    let rows = rows.await;
    assert_eq!(rows.len(), 60);
    assert!(rows.iter().all(|row| row[1] == "1"), "{rows:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(faketime), ignore = "libfaketime is not here; tests/run fetches it")]
async fn an_hour_ahead() {
    apart(HOUR, "token_expired", "expired").await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(faketime), ignore = "libfaketime is not here; tests/run fetches it")]
async fn an_hour_behind() {
    apart(-HOUR, "token_invalid", "not valid yet").await;
}
