//! Steps of a revocation: of the request, of the denial, of the purge, of the proof.

use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::{Value, json};
use stedi_server::auth::Role;

use super::{Step, both, both_of, kill_when_held};
use crate::support::{SeaweedFs, Serving, full};

const TOML: &str = "[consent]\ngrace_seconds = 0\nlease_seconds = 2\n[promotion]\nlease_seconds = 2\n[maintenance]\nevery_seconds = 0\nlease_seconds = 2\n[lake]\nstaleness_ms = 0\n";

fn steps() -> Vec<Step> {
    let all = [
        both("/system/revocations/open/", ".json"),
        both("/system/revocations/runs/", "/cancel"),
        both("/landing/customer_revocation/_delta_log/", ".json"),
        both("/system/deny/", ".json"),
        both("/system/revocations/runs/", "/at-0000000000.json"),
        both("/system/leases/revocation/", ".json"),
        both("/system/promotions/open/", ".json"),
        both("/curated/machine_learning_curated/_delta_log/", ".json"),
        both_of("/system/deny/", ".json", 2),
        both("/system/purges/", ".json"),
        both_of("/system/purges/", ".json", 4),
        both("/trusted/accelerometer_trusted/_delta_log/", ".checkpoint.parquet"),
        both_of("POST ", "delete", 2),
        both_of("/system/deny/", ".json", 3),
        both("/system/certificates/", ".json"),
    ];
    match full() {
        true => all.concat(),
        // Of each pair one, in turn before and after.
        false => all.iter().enumerate().map(|(at, pair)| pair[at % 2]).collect(),
    }
}

/// Asks, and gives the revocation if there was an answer. The same key is the same one.
async fn ask(http: Client, url: String, token: String, name: String) -> Option<Value> {
    let request = http.post(format!("{url}/v1/revocations")).bearer_auth(token);
    let request = request.header("idempotency-key", &name);
    let answer = request.json(&json!({ "email": format!("{name}@kill") })).send().await.ok()?;
    assert!(answer.status().is_success(), "{}", answer.status());
    answer.json().await.ok()
}

struct Killed<'a> {
    serving: &'a Serving,
}

impl Killed<'_> {
    async fn load(&self, table: &str, text: String) {
        let token = self.serving.token(Role::Admin, "admin");
        let request = self.serving.http.post(format!("{}/v1/landing/{table}", self.serving.url));
        let answer = request.bearer_auth(token).body(text).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{table}");
    }

    async fn rows(&self, name: &str) -> Value {
        let token = self.serving.token(Role::Admin, "admin");
        let sql = format!(
            "SELECT (SELECT count(*) FROM customer_curated WHERE email = '{name}@kill') AS a, \
             (SELECT count(*) FROM machine_learning_curated WHERE serialnumber = 'Q-{name}-serial') AS b"
        );
        let began = Instant::now();
        let answer: Value = loop {
            let request = self.serving.http.post(format!("{}/v1/sql", self.serving.url));
            let request = request.bearer_auth(&token).json(&json!({ "sql": sql }));
            let answer = request.send().await.unwrap();
            let status = answer.status();
            let answer = answer.json().await.unwrap();
            // What the server before left open is denied now: a statement that this ends is asked again.
            if status == 503 && began.elapsed() < Duration::from_secs(20) {
                continue;
            }
            assert_eq!(status, 200, "{answer}");
            break answer;
        };
        answer["rows"][0].clone()
    }

    async fn ended(&self, id: &str, step: Step) -> Value {
        let began = Instant::now();
        loop {
            let now = self.serving.json(&format!("/v1/revocations/{id}")).await;
            if !["queued", "running"].contains(&now["state"].as_str().unwrap()) {
                return now;
            }
            let name = step.name();
            assert!(began.elapsed() < Duration::from_secs(120), "killed {name}: {now}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(
    not(all(seaweedfs, python_readers)),
    ignore = "SeaweedFS is not installed; tests/run installs it"
)]
async fn killed_at_every_step_of_a_revocation() {
    println!("{} steps", steps().len());
    let s3 = SeaweedFs::start();
    let direct = s3.environment();
    let folder = tempfile::tempdir().unwrap();
    let start = async |environment: Vec<(String, String)>| {
        Serving::start_with(folder.path(), TOML, |command| {
            command.args(["--storage", "s3://lake/revoked"]).envs(environment);
        })
        .await
    };
    let serving = start(direct.clone()).await;
    let names: Vec<String> = (0..steps().len()).map(|number| format!("c{number}")).collect();
    // No serial number may be in a file by chance: names are hexadecimal, and where compression takes a
    // beginning from elsewhere, the byte behind it may be any.
    let (mut customers, mut readings, mut steps_of) = (String::new(), String::new(), String::new());
    for name in names.iter().map(String::as_str).chain(["kept"]) {
        customers += &format!(
            "{{\"email\":\"{name}@kill\",\"serialNumber\":\"Q-{name}-serial\",\"lastUpdateDate\":1,\"shareWithResearchAsOfDate\":1}}\n"
        );
        for time in 1..5 {
            readings += &format!(
                "{{\"user\":\"{name}@kill\",\"timestamp\":{time},\"x\":1,\"y\":1,\"z\":1}}\n"
            );
            steps_of += &format!(
                "{{\"sensorReadingTime\":{time},\"serialNumber\":\"Q-{name}-serial\",\"distanceFromObject\":5}}\n"
            );
        }
    }
    let killed = Killed { serving: &serving };
    killed.load("customer_landing", customers).await;
    killed.load("accelerometer_landing", readings).await;
    killed.load("step_trainer_landing", steps_of).await;
    let token = serving.token(Role::Admin, "admin");
    let request = serving.http.post(format!("{}/v1/promotions", serving.url)).bearer_auth(token);
    let promoted = request.header("prefer", "wait=60").send().await.unwrap();
    assert_eq!(promoted.status(), 200);
    assert_eq!(serving.process.terminate(), Some(0));

    let count = steps().len() as u64;
    for (step, name) in steps().into_iter().zip(names) {
        let proxy = step.proxy(&s3.endpoint(), "revoked");
        let serving = start(proxy.through(&direct)).await;
        assert_eq!(Killed { serving: &serving }.rows(&name).await, json!([1, 4]), "{name}");
        let token = serving.token(Role::Admin, "admin");
        let asked =
            tokio::spawn(ask(serving.http.clone(), serving.url.clone(), token, name.clone()));
        let process = serving.process;
        tokio::task::spawn_blocking(move || kill_when_held(&proxy, process, step)).await.unwrap();
        let answered = asked.await.unwrap();

        let serving = start(direct.clone()).await;
        let killed = Killed { serving: &serving };
        let what = format!("killed {}", step.name());
        // What was acknowledged is so after the next start, whoever does the rest.
        if answered.as_ref().is_some_and(|answer| answer["acknowledged"].is_i64()) {
            assert_eq!(killed.rows(&name).await, json!([0, 0]), "{what}");
        }
        let token = serving.token(Role::Admin, "admin");
        let again = ask(serving.http.clone(), serving.url.clone(), token, name.clone()).await;
        let again = again.unwrap();
        assert!(again["acknowledged"].is_i64(), "{what}: {again}");
        assert_eq!(killed.rows(&name).await, json!([0, 0]), "{what}");
        let ended = killed.ended(again["id"].as_str().unwrap(), step).await;
        assert_eq!(
            (&ended["state"], &ended["found"]),
            (&json!("succeeded"), &json!([])),
            "{what}: {ended}"
        );
        assert_eq!(killed.rows(&name).await, json!([0, 0]), "{what}");
        assert_eq!(killed.rows("kept").await, json!([1, 4]), "{what}");
        assert_eq!(serving.process.terminate(), Some(0));
    }
    // Each has one certificate, and there is one revocation of each, as a row.
    let serving = start(direct).await;
    let token = serving.token(Role::Admin, "admin");
    let request = serving.http.post(format!("{}/v1/sql", serving.url)).bearer_auth(token);
    let sql = "SELECT count(*), count(DISTINCT subject_id) FROM customer_revocation";
    let answer = request.json(&json!({ "sql": sql })).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["rows"], json!([[count, count]]));
    let list = serving.json("/v1/revocations?limit=200").await;
    let mut certificates: Vec<u64> = list["revocations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|revocation| revocation["certificate"].as_u64().unwrap())
        .collect();
    certificates.sort_unstable();
    assert_eq!(certificates, (1..=count).collect::<Vec<_>>());
}
