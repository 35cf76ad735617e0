//! Loads are idempotent: by their content, and by a key, for longer than the log remembers.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use stedi_server::auth::Role;
use stedi_server::config::{Config, LandingConfig};

use crate::support::{TestLake, TestServer};

const TABLE: &str = "step_trainer_landing";

fn steps(from: i64, count: i64) -> String {
    let step = |time| {
        format!(r#"{{"sensorReadingTime":{time},"serialNumber":"d","distanceFromObject":1}}"#)
    };
    (from..from + count).map(step).collect::<Vec<_>>().join("\n")
}

async fn load(
    server: &TestServer,
    who: &str,
    table: &str,
    key: &str,
    body: String,
) -> (u16, Value) {
    let token = server.token_of(Role::Ingest, who);
    let path = format!("/v1/landing/{table}");
    let request = server.request(Method::POST, &path, Some(&token));
    let answer = request.header("idempotency-key", key).body(body).send().await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_gives_the_first_answer_again() {
    let lake = TestLake::new().await;
    let server = TestServer::start(&lake.config).await;
    let other = TestServer::start(&lake.config).await;
    let body = format!("{}\n{{\"broken\":1}}", steps(1, 3));
    let first = load(&server, "a", TABLE, "k", body.clone()).await;
    assert_eq!((first.0, &first.1["accepted"], &first.1["rejected"]), (200, &3.into(), &1.into()));
    load(&server, "a", TABLE, "k2", steps(10, 2)).await;
    for server in [&server, &other] {
        assert_eq!(load(server, "a", TABLE, "k", body.clone()).await, first);
    }
    // Another body, or another table, loads nothing.
    for (table, body) in [(TABLE, steps(20, 1)), ("accelerometer_landing", body.clone())] {
        let (status, problem) = load(&server, "a", table, "k", body).await;
        assert_eq!((status, &problem["code"]), (422, &"idempotency_key_reused".into()));
    }
    // It is nobody else's key; the content is the same for everybody.
    let (status, result) = load(&server, "b", TABLE, "k", body.clone()).await;
    assert_eq!((status, &result["duplicate"]), (200, &4.into()));
    let (status, _) = load(&server, "b", TABLE, "k3", steps(30, 1)).await;
    assert_eq!(status, 200);
    assert_eq!(lake.count(TABLE).await, 6);
    assert_eq!(lake.count("step_trainer_landing_rejected").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_under_one_key_are_one_load() {
    let lake = TestLake::new().await;
    let servers = [TestServer::start(&lake.config).await, TestServer::start(&lake.config).await];
    let loads = (0..8).map(|n| load(&servers[n % 2], "a", TABLE, "k", steps(1, 5)));
    for (status, result) in futures::future::join_all(loads).await {
        assert_eq!(status, 200);
        let (accepted, duplicate) = (&result["accepted"], &result["duplicate"]);
        // Who came while the first was not done yet sees content that is there.
        assert!(accepted == 5 || duplicate == 5, "{result}");
    }
    assert_eq!(lake.count(TABLE).await, 5);
}

/// The server ended after its commit and before its answer.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_lost_is_worked_out_again() {
    let lake = TestLake::new().await;
    let server = TestServer::start(&lake.config).await;
    let first = load(&server, "a", TABLE, "k", steps(1, 3)).await;
    load(&server, "a", TABLE, "other", steps(10, 2)).await;
    let keys = lake.app.lake.list_objects("system/loads/keys").await.unwrap();
    for key in keys {
        let path = format!("system/loads/keys/{key}");
        let sent = lake.app.lake.read_object(&path).await.unwrap().unwrap();
        let mut sent: Value = serde_json::from_slice(&sent).unwrap();
        sent["answer"] = Value::Null;
        lake.app.lake.put_object(&path, sent.to_string().into_bytes()).await.unwrap();
    }
    assert_eq!(load(&server, "a", TABLE, "k", steps(1, 3)).await, first);
    assert_eq!(lake.count(TABLE).await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn content_is_known_when_its_marker_has_expired() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        storage: folder.path().join("lake").to_str().unwrap().to_owned(),
        state_dir: folder.path().join("state"),
        landing: LandingConfig { marker_seconds: 1, ..LandingConfig::default() },
        ..Config::default()
    };
    let lake = TestLake::open(config, folder).await;
    let (good, bad) = (steps(1, 3), "{\"broken\":1}".to_owned());
    lake.load(TABLE, good.clone()).await;
    lake.load(TABLE, bad.clone()).await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let table = lake.app.lake.current("landing", TABLE).await.unwrap().unwrap();
    let log = lake.root().join("landing").join(TABLE).join("_delta_log");
    let commit = std::fs::read_to_string(log.join("00000000000000000001.json")).unwrap();
    let marker = commit.split('"').find(|word| word.starts_with("load:")).unwrap();
    assert_eq!(table.txn(marker).await.unwrap(), None, "the marker is there still");
    for content in [&good, &bad] {
        let result = lake.load(TABLE, content.clone()).await;
        assert_eq!((result.accepted, result.duplicate), (0, result.received), "{content}");
    }
    assert_eq!(lake.count(TABLE).await, 3);

    // What was noted and never committed is loaded.
    let never = steps(100, 2);
    // A content has the same mark in every table, and it is no plain hash.
    let other = "accelerometer_landing";
    assert_eq!(lake.load(other, never.clone()).await.rejected, 2);
    let notes = lake.app.lake.list_folders(&format!("system/loads/content/{other}")).await.unwrap();
    let [digest] = notes.as_slice() else { panic!("{notes:?}") };
    let plain = {
        use aws_lc_rs::digest;
        let digest = digest::digest(&digest::SHA256, never.as_bytes());
        digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    assert_eq!((digest.len(), *digest == plain), (64, false));
    let note = format!("system/loads/content/{TABLE}/{digest}/1234");
    lake.app.lake.put_object(&note, b"{}".to_vec()).await.unwrap();
    assert_eq!(lake.load(TABLE, never).await.accepted, 2);
    // A new content is one note, one load.
    let notes = format!("system/loads/content/{TABLE}/{digest}");
    assert_eq!(lake.app.lake.list_objects(&notes).await.unwrap().len(), 2);
}
