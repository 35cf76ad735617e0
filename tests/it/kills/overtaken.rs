//! A purge comes between the files of a promotion and their commit, and removes them.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use stedi_server::auth::Role;

use super::maintenance::uploaded;
use crate::maintenance::{customer, reading};
use crate::support::{Fate, Proxy, SeaweedFs, Serving, TestLake};
use crate::writers::share_keys;

const TOML: &str = "[lake]\nstaleness_ms = 0\n[maintenance]\nevery_seconds = 0\n";
const TABLE: &str = "/trusted/accelerometer_trusted/";

/// Purges the table, as a process of its own.
fn purges(root: &str, state: &Path, environment: &[(String, String)]) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "purge::as_a_process_of_its_own", "--nocapture"])
        .env("STEDI_TEST_PURGE", root)
        .env("STEDI_TEST_TABLES", "accelerometer_trusted")
        .env("STEDI_TEST_STATE", state)
        .envs(environment.iter().cloned());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(
    not(all(seaweedfs, python_readers)),
    ignore = "SeaweedFS is not installed; tests/run installs it"
)]
async fn a_promotion_that_a_purge_overtakes_loses_nothing_and_doubles_nothing() {
    let s3 = SeaweedFs::start();
    let direct = s3.environment();
    let lake = TestLake::new().await;
    for (n, who) in ["amy", "bob"].into_iter().enumerate() {
        lake.load("customer_landing", customer(who, n)).await;
        lake.load("accelerometer_landing", reading(who, n)).await;
        lake.promote().await;
    }
    // Rows come; and rows come and go, since a reading has the device of its wearer's newest record.
    let changed = customer("bob", 900).replace("d-bob", "d-other");
    for (number, (table, text)) in
        [("accelerometer_landing", reading("amy", 50)), ("customer_landing", changed)]
            .into_iter()
            .enumerate()
    {
        lake.load(table, text).await;
        let (root, other) = uploaded(&lake, &format!("overtaken-{number}"), &s3);
        let folder = tempfile::tempdir().unwrap();
        share_keys(&lake.config.state_dir, &folder.path().join(".stedi"));
        let purged = Arc::new(AtomicUsize::new(0));
        let proxy = {
            let (direct, root, purged) = (direct.clone(), root.clone(), Arc::clone(&purged));
            let (part, log) = (format!("{TABLE}part-"), format!("{TABLE}_delta_log/"));
            Proxy::start(&s3.endpoint(), move |line| {
                // First before a file of the promotion is there, then before its commit.
                let next = [&part, &log].get(purged.load(Ordering::SeqCst)).copied();
                if line.starts_with("PUT ") && next.is_some_and(|next| line.contains(next)) {
                    purged.fetch_add(1, Ordering::SeqCst);
                    purges(&root, other.path(), &direct);
                }
                Fate::Passed
            })
        };
        let serving = Serving::start_with(folder.path(), TOML, |command| {
            command.args(["--storage", &root]).envs(proxy.through(&direct));
        })
        .await;
        let token = serving.token(Role::Admin, "admin");
        let post = async |path: &str, body: Value| {
            let request = serving.http.post(format!("{}{path}", serving.url)).bearer_auth(&token);
            let answer = request.header("prefer", "wait=60").json(&body).send().await.unwrap();
            let status = answer.status();
            let answer: Value = answer.json().await.unwrap();
            assert_eq!(status, 200, "{answer}");
            answer
        };
        let run = post("/v1/promotions", json!({})).await;
        assert_eq!(run["state"], "succeeded", "{run}");
        assert_eq!(purged.load(Ordering::SeqCst), 2, "{run}");
        let sql = "SELECT serialnumber FROM accelerometer_trusted ORDER BY timestamp";
        let rows = post("/v1/sql", json!({ "sql": sql })).await;
        let bobs = ["d-bob", "d-other"][number];
        assert_eq!(rows["rows"], json!([["d-amy"], [bobs], ["d-amy"]]), "{run}");
        assert_eq!(serving.process.terminate(), Some(0));
    }
}
