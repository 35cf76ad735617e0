//! Steps of statements that run by themselves.

use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::{Value, json};
use stedi_server::auth::Role;

use super::{Step, both, both_of, demo_command, kill_when_held};
use crate::support::{SeaweedFs, Serving, fixture, sized};

const TOML: &str = "[statements]\nlease_seconds = 2\n";
const SQL: &str = "SELECT count(*) AS n FROM machine_learning_curated";

fn steps() -> Vec<Step> {
    [
        both("/system/statements/", "/statement.json"),
        both("/system/statements/", "/run-1.json"),
        both("/system/statements/", "-00000.arrow"),
        // The run as it ended.
        both_of("/system/statements/", "/run-1.json", 2),
    ]
    .concat()
}

/// Asks, and gives the statement's id if there was an answer. The same key is the same statement.
async fn ask(http: Client, url: String, token: String, key: String) -> Option<String> {
    let request = http.post(format!("{url}/v1/statements")).bearer_auth(token);
    let request = request.header("idempotency-key", key).json(&json!({ "sql": SQL }));
    let answer = request.send().await.ok()?;
    assert!(answer.status().is_success(), "{}", answer.status());
    let asked: Value = answer.json().await.ok()?;
    asked["id"].as_str().map(str::to_owned)
}

async fn succeeded(serving: &Serving, id: &str, step: Step) {
    let began = Instant::now();
    loop {
        let now = serving.json(&format!("/v1/statements/{id}")).await;
        match now["state"].as_str() {
            Some("succeeded") => return,
            Some("queued" | "running") => {}
            _ => panic!("killed {}: {now}", step.name()),
        }
        assert!(began.elapsed() < Duration::from_secs(60), "killed {}: {now}", step.name());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(
    not(all(seaweedfs, python_readers)),
    ignore = "SeaweedFS is not installed; tests/run installs it"
)]
async fn killed_at_every_step_of_a_statement() {
    let rounds = sized(1, 3);
    println!("{} steps, {rounds} times each", steps().len());
    let s3 = SeaweedFs::start();
    let direct = s3.environment();
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join(".stedi");
    let made = demo_command(&state, &fixture(), "statements", &direct).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let start = async |environment: Vec<(String, String)>| {
        Serving::start_with(folder.path(), TOML, |command| {
            command.args(["--storage", "s3://lake/statements"]).envs(environment);
        })
        .await
    };
    for (number, step) in (0..rounds).flat_map(|_| steps()).enumerate() {
        let proxy = step.proxy(&s3.endpoint(), "statements");
        let serving = start(proxy.through(&direct)).await;
        let ask = |serving: &Serving| {
            let token = serving.token(Role::Analyst, "analyst");
            ask(serving.http.clone(), serving.url.clone(), token, format!("key-{number}"))
        };
        let asked = tokio::spawn(ask(&serving));
        let process = serving.process;
        tokio::task::spawn_blocking(move || kill_when_held(&proxy, process, step)).await.unwrap();
        let answered = asked.await.unwrap();

        let serving = start(direct.clone()).await;
        let id = match &answered {
            // Nobody needs to ask again for what was accepted.
            Some(id) => id.clone(),
            None => ask(&serving).await.unwrap(),
        };
        succeeded(&serving, &id, step).await;
        let result = serving.json(&format!("/v1/statements/{id}/result")).await;
        assert_eq!(result["rows"], json!([[5]]), "killed {}", step.name());
        assert_eq!(serving.process.terminate(), Some(0));
    }
}
