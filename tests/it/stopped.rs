//! What computes without a pause, and gives nothing, is stopped all the same, and holds up nobody.

use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::json;
use stedi_server::auth::Role;

use crate::support::Serving;

/// Pairs that no row comes of: a loop over all of them, for hours.
const ENDLESS: &str = "SELECT count(*) FROM numbers a JOIN numbers b ON a.n * b.n < 0 JOIN numbers c ON b.n * c.n < a.n";

async fn serving(folder: &std::path::Path, limits: &str) -> Serving {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/pipelines/troubled");
    let serving = Serving::start(folder, &format!("{limits}\n[pipeline]\ndir = {dir:?}\n")).await;
    let rows: String = (1..60_000).map(|n| format!("{{\"k\":\"k{n}\",\"n\":{n}}}\n")).collect();
    let token = serving.token(Role::Admin, "admin");
    let request = serving.http.post(format!("{}/v1/landing/numbers", serving.url));
    assert_eq!(request.bearer_auth(token).body(rows).send().await.unwrap().status(), 200);
    serving
}

fn ask(serving: &Serving, http: &Client) -> reqwest::RequestBuilder {
    let token = serving.token(Role::Admin, "admin");
    let request = http.post(format!("{}/v1/sql", serving.url)).bearer_auth(token);
    request.json(&json!({ "sql": ENDLESS }))
}

/// Statements that run, as the metrics say.
async fn running(serving: &Serving) -> u64 {
    let token = serving.token(Role::Admin, "admin");
    let request = serving.http.get(format!("{}/metrics", serving.url)).bearer_auth(token);
    let text = request.send().await.unwrap().text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("stedi_statements_running "));
    line.unwrap().parse().unwrap()
}

async fn until_running(serving: &Serving, wanted: u64) {
    let started = Instant::now();
    while running(serving).await != wanted {
        assert!(started.elapsed() < Duration::from_secs(30), "never {wanted} running");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn by_its_time_limit() {
    let folder = tempfile::tempdir().unwrap();
    let serving = serving(folder.path(), "[limits.roles.admin]\nseconds = 2\n").await;
    let answer = ask(&serving, &serving.http).send().await.unwrap();
    assert_eq!(answer.status(), 408);
    until_running(&serving, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_who_hangs_up_and_meanwhile_others_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let serving = serving(folder.path(), "").await;
    // A connection of its own, which is closed with it.
    let asked = tokio::spawn(ask(&serving, &Client::new()).send());
    until_running(&serving, 1).await;
    for _ in 0..20 {
        let alive = serving.http.get(format!("{}/healthz", serving.url)).send().await.unwrap();
        assert_eq!(alive.status(), 200);
    }
    assert_eq!(running(&serving).await, 1);
    asked.abort();
    until_running(&serving, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_statement_by_its_cancel() {
    let folder = tempfile::tempdir().unwrap();
    let serving = serving(folder.path(), "").await;
    let token = serving.token(Role::Admin, "admin");
    let post =
        |path: String| serving.http.post(format!("{}{path}", serving.url)).bearer_auth(&token);
    let asked = post("/v1/statements".to_owned()).json(&json!({ "sql": ENDLESS }));
    let asked: serde_json::Value = asked.send().await.unwrap().json().await.unwrap();
    let id = asked["id"].as_str().unwrap();
    until_running(&serving, 1).await;
    assert_eq!(post(format!("/v1/statements/{id}/cancel")).send().await.unwrap().status(), 200);
    until_running(&serving, 0).await;
    let started = Instant::now();
    while serving.json(&format!("/v1/statements/{id}")).await["state"] != "cancelled" {
        assert!(started.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let audit = serving.json("/v1/audit?action=statement").await;
    assert_eq!(audit["records"].as_array().unwrap().len(), 2, "{audit}");
}
