//! A consent ends while a file of a snapshot is on its way out, and while a snapshot is being made.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stedi_server::auth::Role;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use super::{QUICK, Site};
use crate::support::{Dice, Gate, SeaweedFs, Serving};
use crate::writers::share_keys;

/// Readings of one customer: a file of some megabytes, as a person's rows are in one.
const READINGS: usize = 250_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_file_ends_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), QUICK).await;
    site.customers(&["ada", "bob"], 1..3).await;
    let mut dice = Dice::new(7);
    let (mut readings, mut steps) = (String::new(), String::new());
    for time in 10..10 + READINGS {
        let mut number = || dice.roll() as f64 / 1e6;
        let (x, y, z) = (number(), number(), number());
        readings += &format!(
            "{{\"user\":\"ada@set\",\"timestamp\":{time},\"x\":{x},\"y\":{y},\"z\":{z}}}\n"
        );
        steps += &format!(
            "{{\"sensorReadingTime\":{time},\"serialNumber\":\"serial-of-ada\",\"distanceFromObject\":7}}\n"
        );
    }
    site.load("accelerometer_landing", readings).await;
    site.load("step_trainer_landing", steps).await;
    site.promote().await;
    let manifest = site.snapshot(json!({})).await;
    let files = manifest["tables"][0]["files"].as_array().unwrap();
    let file = files.iter().max_by_key(|file| file["bytes"].as_u64()).unwrap();
    let bytes = file["bytes"].as_u64().unwrap() as usize;
    assert!(bytes > 6 * 1024 * 1024, "{file}");

    // A reader that takes little, so that little is on its way.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let address = site.serving.url.strip_prefix("http://").unwrap();
    let mut stream = socket.connect(address.parse().unwrap()).await.unwrap();
    let id = manifest["id"].as_str().unwrap();
    let path = format!("/v1/snapshots/{id}/files/{}", file["sha256"].as_str().unwrap());
    let token = site.serving.token(Role::Trainer, "trainer");
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut read = vec![0; 4096];
    let begun = stream.read(&mut read).await.unwrap();
    let head = String::from_utf8_lossy(&read[..begun]).to_lowercase();
    assert!(head.starts_with("http/1.1 200") && head.contains(&format!("content-length: {bytes}")));

    let revoke =
        site.ask(Role::Admin, "POST", "/v1/revocations").json(&json!({ "email": "ada@set" }));
    let (status, revocation) = site.answer(revoke).await;
    assert_eq!(status, 202, "{revocation}");
    assert!(revocation["acknowledged"].is_u64(), "{revocation}");
    // What left before is on its way, and no part more.
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert!(begun + rest.len() < bytes, "all {bytes} bytes came");
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(seaweedfs), ignore = "SeaweedFS is not installed; tests/run installs it")]
async fn what_is_being_made_has_no_row_of_it() {
    let s3 = SeaweedFs::start();
    let folder = tempfile::tempdir().unwrap();
    let gate = Arc::new(Gate::default());
    let puts = |line: &str| line.starts_with("PUT ") && line.contains("/system/snapshots/records/");
    let proxy = gate.proxy(&s3, puts, |_| false);
    let start = async |name: &str, environment: Vec<(String, String)>| {
        let own = folder.path().join(name);
        std::fs::create_dir_all(&own).unwrap();
        let serving = Serving::start_with(&own, QUICK, |command| {
            command.args(["--storage", "s3://lake/made"]).envs(environment);
        });
        Site { serving: serving.await }
    };
    let one = start("one", proxy.through(&s3.environment())).await;
    one.customers(&["ada", "bob"], 1..20).await;
    share_keys(&folder.path().join("one/.stedi"), &folder.path().join("other/.stedi"));
    let other = start("other", s3.environment()).await;

    // Measured and written down but for its record.
    gate.armed.store(true, Ordering::SeqCst);
    let made = one.ask(Role::Trainer, "POST", "/v1/snapshots").json(&json!({})).send();
    let made = tokio::spawn(made);
    gate.is_shut().await;
    let revoke =
        other.ask(Role::Admin, "POST", "/v1/revocations").json(&json!({ "email": "ada@set" }));
    let (status, revocation) = other.answer(revoke).await;
    assert_eq!(status, 202, "{revocation}");
    let id = revocation["id"].as_str().unwrap();
    // All snapshots that there are were redacted, or it waits for this one.
    let began = Instant::now();
    while other.serving.json(&format!("/v1/revocations/{id}")).await["redacted"].is_null()
        && began.elapsed() < Duration::from_secs(10)
    {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    gate.open();
    let made = made.await.unwrap().unwrap();
    let status = made.status().as_u16();
    let manifest: Value = made.json().await.unwrap();
    match status {
        201 => assert_eq!(manifest["tables"][0]["rows"], 19, "{manifest}"),
        _ => assert_eq!((status, &manifest["code"]), (503, &json!("redacting")), "{manifest}"),
    }
    let ended = other.ended("revocations", id).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
}
