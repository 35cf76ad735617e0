//! Many pull a snapshot at once: the server holds a few parts of a file for each, not files.

use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use futures::future::join_all;
use serde_json::{Value, json};
use stedi_server::auth::Role;
use tokio::sync::Barrier;

use crate::support::{Dice, Running, Service, client, sized};

const PULLS: usize = 32;
/// What a server may hold for one who downloads: the parts that are read ahead, and what is on its way
/// out. A request asks for 16 MiB.
const EACH: u64 = 3 * 1024 * 1024;
/// Characters of a note, which are random.
const NOTE: usize = 4096;

/// A server over a lake of some notes, with a snapshot of them; its manifest.
async fn served(bytes: usize) -> (Service, Value) {
    let pipeline = concat!(env!("CARGO_MANIFEST_DIR"), "/pipelines/notes");
    let service = Service::start_with("[maintenance]\nevery_seconds = 0\n", |command| {
        command.args(["--pipeline", pipeline]);
    });
    let http = reqwest::Client::new();
    let post = |path: &str| {
        http.post(format!("{}{path}", service.url)).bearer_auth(service.token(Role::Admin))
    };
    let mut dice = Dice::new(32);
    let mut notes = String::new();
    for number in 0..bytes / NOTE {
        let letters = std::iter::repeat_with(|| b'0' + (dice.roll() % 64) as u8);
        let letters = letters.map(|letter| if letter == b'\\' { b'~' } else { letter });
        let text = String::from_utf8(letters.take(NOTE).collect()).unwrap();
        notes += &json!({ "number": number.to_string(), "text": text }).to_string();
    }
    let loaded = post("/v1/landing/notes").body(notes).send().await.unwrap();
    assert_eq!(loaded.status(), 200, "{}", loaded.text().await.unwrap());
    let run = post("/v1/promotions").header("prefer", "wait=60").json(&json!({})).send();
    let run: Value = run.await.unwrap().json().await.unwrap();
    assert_eq!(run["state"], "succeeded", "{run}");
    let made = post("/v1/snapshots").json(&json!({ "name": "notes" })).send().await.unwrap();
    let manifest = made.json().await.unwrap();
    (service, manifest)
}

/// Reads a file, the first part of it before all have begun; its digest.
async fn read(service: &Service, path: &str, all: &Barrier) -> String {
    // A client of its own, and so a connection.
    let request = reqwest::Client::new().get(format!("{}{path}", service.url));
    let mut answer = request.bearer_auth(service.token(Role::Admin)).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut digest = Context::new(&SHA256);
    digest.update(&answer.chunk().await.unwrap().unwrap());
    all.wait().await;
    while let Some(chunk) = answer.chunk().await.unwrap() {
        digest.update(&chunk);
    }
    digest.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_stays_flat() {
    let (service, manifest) = served(sized(24, 96) * 1024 * 1024).await;
    let files = manifest["tables"][0]["files"].as_array().unwrap();
    let file = files.iter().max_by_key(|file| file["bytes"].as_u64()).unwrap();
    let (digest, bytes) = (file["sha256"].as_str().unwrap(), file["bytes"].as_u64().unwrap());
    // Whole files, or the pieces that pulls ask for, would be seen.
    assert!(bytes.min(16 * 1024 * 1024) > 4 * EACH, "{manifest}");

    // All at the same place of the same file, then as fast as they can.
    service.forget_peak_memory();
    let idle = service.peak_memory();
    let path = format!("/v1/snapshots/notes/files/{digest}");
    let all = Arc::new(Barrier::new(PULLS));
    let digests = join_all((0..PULLS).map(|_| read(&service, &path, &all))).await;
    assert!(digests.iter().all(|it| it == digest), "{digests:?}");
    let held = service.peak_memory().saturating_sub(idle);
    println!("{PULLS} downloads of {bytes} bytes: {held} bytes more than {idle}");
    assert!(held < PULLS as u64 * EACH, "{held} bytes more");

    // By the command, with several connections each.
    service.forget_peak_memory();
    let token = service.token(Role::Admin);
    let start = |at: usize| {
        let mut command = client();
        command.args(["--server", &service.url, "--token", &token, "snapshot", "pull", "notes"]);
        command.arg("--out").arg(service.folder().join(format!("pull-{at}")));
        Running::start(&mut command)
    };
    let mut pulls: Vec<Running> = (0..PULLS).map(start).collect();
    assert!(pulls.iter_mut().all(|pull| pull.0.wait().unwrap().success()));
    let held = service.peak_memory().saturating_sub(idle);
    let pulled: u64 = files.iter().map(|file| file["bytes"].as_u64().unwrap()).sum();
    println!("{PULLS} pulls of {pulled} bytes: {held} bytes more than {idle}");
    assert!(held < PULLS as u64 * EACH, "{held} bytes more");
}
