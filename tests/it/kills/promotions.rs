//! Steps of promotions that are resources: of the order, of the run, of commits that append and
//! replace, of what follows.

use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::{Value, json};
use stedi_server::auth::Role;

use super::{Step, both, demo_command, kill_when_held};
use crate::readers::TABLES;
use crate::support::{SeaweedFs, Serving, fixture, full, replay, sized};

const TOML: &str =
    "[promotion]\nlease_seconds = 2\n[lake]\nstaleness_ms = 0\n[consent]\nlease_seconds = 2\n";

/// What came before the promotion.
#[derive(Clone, Copy, Debug)]
enum Change {
    /// Readings: rows are appended.
    Readings,
    /// A consent given or withdrawn: rows of subjects are replaced.
    Consent,
}

fn steps() -> Vec<(Change, Step)> {
    let of = |change, steps: Vec<[Step; 2]>| {
        steps.concat().into_iter().map(move |step| (change, step)).collect::<Vec<_>>()
    };
    let log = "/_delta_log/0";
    let readings = of(
        Change::Readings,
        vec![
            both("/system/promotions/runs/", "/asked.json"),
            both("/system/promotions/open/", ".json"),
            both("/system/leases/promotion/", ".json"),
            both("/system/promotions/runs/", "/at-"),
            both("/trusted/accelerometer_trusted/", ".parquet"),
            both("/trusted/accelerometer_trusted/", log),
            both("/trusted/step_trainer_trusted/", log),
            both("/curated/machine_learning_curated/", log),
            both("/system/runs/", ".parquet"),
            both("/system/runs/", log),
        ],
    );
    let consent = of(
        Change::Consent,
        vec![
            both("/trusted/customer_trusted/", ".parquet"),
            both("/trusted/customer_trusted/", log),
            both("/trusted/accelerometer_trusted/", ".parquet"),
            both("/trusted/accelerometer_trusted/", log),
            both("/curated/customer_curated/", log),
            both("/curated/machine_learning_curated/", log),
        ],
    );
    let all = [readings, consent].concat();
    match full() {
        true => all,
        // Of each pair one, in turn before and after.
        false => all.chunks(2).enumerate().map(|(at, pair)| pair[at % 2]).collect(),
    }
}

/// What is loaded before the `number`-th kill: readings of a customer that consents throughout, or
/// another one's consent, turned each time. Everybody has a reading at each moment.
fn records(change: Change, number: usize) -> Vec<(&'static str, String)> {
    let time = 5_000 + number;
    match change {
        Change::Readings => vec![
            (
                "accelerometer_landing",
                format!(r#"{{"user":"kept@k","timestamp":{time},"x":1,"y":2,"z":3}}"#),
            ),
            (
                "step_trainer_landing",
                format!(
                    r#"{{"sensorReadingTime":{time},"serialNumber":"kept","distanceFromObject":5}}"#
                ),
            ),
        ],
        Change::Consent => vec![(
            "customer_landing",
            format!(
                r#"{{"email":"turned@k","serialNumber":"turned","lastUpdateDate":{time},"shareWithResearchAsOfDate":{}}}"#,
                number % 2
            ),
        )],
    }
}

const CUSTOMERS: &str = r#"
    {"email":"kept@k","serialNumber":"kept","lastUpdateDate":1,"shareWithResearchAsOfDate":1}
    {"email":"turned@k","serialNumber":"turned","lastUpdateDate":1,"shareWithResearchAsOfDate":1}"#;

struct Killer<'a> {
    serving: &'a Serving,
}

impl Killer<'_> {
    fn post(&self, path: &str) -> reqwest::RequestBuilder {
        let token = self.serving.token(Role::Admin, "admin");
        self.serving.http.post(format!("{}{path}", self.serving.url)).bearer_auth(token)
    }

    async fn load(&self, table: &str, text: String) {
        let answer = self.post(&format!("/v1/landing/{table}")).body(text).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{table}");
    }

    /// The run of a key, once it has ended.
    async fn promoted(&self, key: &str, step: Step) -> Value {
        let token = self.serving.token(Role::Admin, "admin");
        let url = self.serving.url.clone();
        let id = ask(self.serving.http.clone(), url, token, key.to_owned()).await.unwrap();
        let began = Instant::now();
        loop {
            let run = self.serving.json(&format!("/v1/promotions/{id}")).await;
            if !["queued", "running"].contains(&run["state"].as_str().unwrap()) {
                assert_eq!(run["state"], "succeeded", "killed {}: {run}", step.name());
                return run;
            }
            assert!(began.elapsed() < Duration::from_secs(90), "killed {}: {run}", step.name());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Every derived table is its SELECT.
    async fn whole(&self, step: Step) {
        // What a load that ended a consent began hides rows until they are deleted.
        let began = Instant::now();
        loop {
            let list = self.serving.json("/v1/revocations?limit=200").await;
            let all = list["revocations"].as_array().unwrap();
            let done = |step: &Value| *step != "deny" && *step != "delete";
            if all.iter().all(|revocation| done(&revocation["step"])) {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(90), "killed {}: {list}", step.name());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        for table in &TABLES[3..] {
            let name = table.split_once('/').unwrap().1;
            let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../server/pipelines/stedi/");
            let sql = std::fs::read_to_string(format!("{file}{name}.sql")).unwrap();
            let sql = sql.replace("$readings", "'all'");
            let (table, anew) = (format!("SELECT * FROM {name}"), format!("SELECT * FROM ({sql})"));
            let count = |sql: String| format!("(SELECT count(*) FROM ({sql}))");
            let sql = format!(
                "SELECT {} AS rows, {} AS extra, {} AS missing, {} AS different",
                count(table.clone()),
                count(format!("{table} EXCEPT {anew}")),
                count(format!("{anew} EXCEPT {table}")),
                count(format!("SELECT DISTINCT * FROM {name}")),
            );
            let answer = self.post("/v1/sql").json(&json!({ "sql": sql })).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{name}: {}", answer.text().await.unwrap());
            let answer: Value = answer.json().await.unwrap();
            let row = answer["rows"][0].as_array().unwrap();
            assert_eq!((&row[1], &row[2]), (&json!(0), &json!(0)), "{name}, {}", step.name());
            assert_eq!(row[0], row[3], "{name} has a row twice, killed {}", step.name());
        }
    }
}

/// Orders a promotion, and gives its id if there was an answer.
async fn ask(http: Client, url: String, token: String, key: String) -> Option<String> {
    let request = http.post(format!("{url}/v1/promotions")).bearer_auth(token);
    let answer = request.header("idempotency-key", key).send().await.ok()?;
    assert!(answer.status().is_success(), "{}", answer.status());
    let run: Value = answer.json().await.ok()?;
    run["id"].as_str().map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(
    not(all(seaweedfs, python_readers)),
    ignore = "SeaweedFS is not installed; tests/run installs it"
)]
async fn killed_at_every_step_of_a_run() {
    let rounds = sized(1, 3);
    println!("{} steps, {rounds} times each", steps().len());
    let s3 = SeaweedFs::start();
    let direct = s3.environment();
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join(".stedi");
    let made = demo_command(&state, &fixture(), "runs", &direct).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let start = async |environment: Vec<(String, String)>| {
        Serving::start_with(folder.path(), TOML, |command| {
            command.args(["--storage", "s3://lake/runs"]).envs(environment);
        })
        .await
    };
    let serving = start(direct.clone()).await;
    let killer = Killer { serving: &serving };
    killer.load("customer_landing", CUSTOMERS.to_owned()).await;
    let mut readings = String::new();
    for time in 1..20 {
        for who in ["kept", "turned"] {
            readings +=
                &format!("{{\"user\":\"{who}@k\",\"timestamp\":{time},\"x\":1,\"y\":1,\"z\":1}}\n");
        }
    }
    killer.load("accelerometer_landing", readings).await;
    let first = Step { request: ["", ""], nth: 0, done: false };
    killer.promoted("first", first).await;
    killer.whole(first).await;
    assert_eq!(serving.process.terminate(), Some(0));

    let mut modes = std::collections::BTreeSet::new();
    for (number, (change, step)) in (0..rounds).flat_map(|_| steps()).enumerate() {
        let proxy = step.proxy(&s3.endpoint(), "runs");
        let serving = start(proxy.through(&direct)).await;
        for (table, record) in records(change, number) {
            Killer { serving: &serving }.load(table, record).await;
        }
        let token = serving.token(Role::Admin, "admin");
        let key = format!("key-{number}");
        let asked =
            tokio::spawn(ask(serving.http.clone(), serving.url.clone(), token, key.clone()));
        let process = serving.process;
        tokio::task::spawn_blocking(move || kill_when_held(&proxy, process, step)).await.unwrap();
        asked.await.unwrap();

        let serving = start(direct.clone()).await;
        let killer = Killer { serving: &serving };
        let run = killer.promoted(&key, step).await;
        for table in run["tables"].as_array().unwrap() {
            modes.insert(table["mode"].as_str().unwrap().to_owned());
        }
        killer.whole(step).await;
        assert_eq!(serving.process.terminate(), Some(0));
    }
    assert!(["append", "subjects"].iter().all(|mode| modes.contains(*mode)), "{modes:?}");
    // Every run is a row, once; and what a program of its own makes of the logs holds.
    let tables: Vec<String> = TABLES[3..].iter().map(|table| format!("runs/{table}")).collect();
    let mut tables: Vec<&str> = tables.iter().map(String::as_str).collect();
    tables.push("runs/system/runs");
    let found = replay("s3://lake", &tables, &direct);
    let runs = &found["runs/system/runs"];
    assert_eq!(runs.rows, runs.distinct);
    // A load that ended a consent was followed by a promotion of its own.
    assert!(runs.rows > (rounds * steps().len()) as u64, "{}", runs.rows);
    for table in &tables {
        assert_eq!(found[*table].rows, found[*table].distinct, "{table}");
    }
}
