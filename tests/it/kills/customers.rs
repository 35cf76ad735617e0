//! Customers ask for something, and the server is killed at a step of it: what was acknowledged is so,
//! the next start completes the rest, once.

use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::{Value, json};
use stedi_server::auth::Role;

use super::{Step, kill_when_held};
use crate::support::{SeaweedFs, Serving, full};

const TOML: &str = "[consent]\ngrace_seconds = 0\nlease_seconds = 2\n[promotion]\nlease_seconds = 2\n[maintenance]\nevery_seconds = 0\nlease_seconds = 2\n[lake]\nstaleness_ms = 0\n";

/// What they ask for.
pub struct Asked {
    /// Its word, as in `/v1/revocations`.
    pub word: &'static str,
    /// Tables that have rows of theirs before and none afterwards: the column that says so.
    pub tables: &'static [(&'static str, &'static str)],
}

/// Of each pair of steps one, in turn before and after; all at full size.
pub fn chosen(pairs: &[[Step; 2]]) -> Vec<Step> {
    match full() {
        true => pairs.concat(),
        false => pairs.iter().enumerate().map(|(at, pair)| pair[at % 2]).collect(),
    }
}

/// A customer's record, readings that name them, and those of their device alone. No serial number may
/// be in a file by chance: names are hexadecimal, and where compression takes a beginning from elsewhere,
/// the byte behind it may be any.
fn records(name: &str) -> [(&'static str, String); 3] {
    let customer = format!(
        "{{\"email\":\"{name}@kill\",\"serialNumber\":\"Q-{name}-serial\",\"lastUpdateDate\":1,\"shareWithResearchAsOfDate\":1}}\n"
    );
    let each = |reading: &dyn Fn(u64) -> String| (1..5).map(reading).collect::<String>();
    let readings = each(&|time| {
        format!("{{\"user\":\"{name}@kill\",\"timestamp\":{time},\"x\":1,\"y\":1,\"z\":1}}\n")
    });
    let steps = each(&|time| {
        format!(
            "{{\"sensorReadingTime\":{time},\"serialNumber\":\"Q-{name}-serial\",\"distanceFromObject\":5}}\n"
        )
    });
    [
        ("customer_landing", customer),
        ("accelerometer_landing", readings),
        ("step_trainer_landing", steps),
    ]
}

/// A server, and what is asked of it.
pub struct Killed<'a> {
    pub serving: &'a Serving,
    asked: &'a Asked,
}

impl Killed<'_> {
    pub async fn load(&self, table: &str, text: String) -> Value {
        let token = self.serving.token(Role::Admin, "admin");
        let request = self.serving.http.post(format!("{}/v1/landing/{table}", self.serving.url));
        let answer = request.bearer_auth(token).body(text).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{table}");
        answer.json().await.unwrap()
    }

    /// The one row of a statement.
    pub async fn row(&self, sql: &str) -> Value {
        let token = self.serving.token(Role::Admin, "admin");
        let began = Instant::now();
        loop {
            let request = self.serving.http.post(format!("{}/v1/sql", self.serving.url));
            let request = request.bearer_auth(&token).json(&json!({ "sql": sql }));
            let answer = request.send().await.unwrap();
            let status = answer.status();
            let answer: Value = answer.json().await.unwrap();
            // What the server before left open is denied now: a statement that this ends is asked again.
            if status == 503 && began.elapsed() < Duration::from_secs(20) {
                continue;
            }
            assert_eq!(status, 200, "{answer}");
            return answer["rows"][0].clone();
        }
    }

    /// In how many of the tables somebody has rows.
    async fn held(&self, name: &str) -> usize {
        let counts = self.asked.tables.iter().map(|(table, column)| {
            format!(
                "(SELECT count(*) FROM {table} WHERE {column} IN ('{name}@kill', 'Q-{name}-serial')) AS {table}"
            )
        });
        let sql = format!("SELECT {}", counts.collect::<Vec<_>>().join(", "));
        let row = self.row(&sql).await;
        row.as_array().unwrap().iter().filter(|count| **count != json!(0)).count()
    }

    async fn ended(&self, id: &str, step: Step) -> Value {
        let began = Instant::now();
        loop {
            let now = self.serving.json(&format!("/v1/{}/{id}", self.asked.word)).await;
            if !["queued", "running"].contains(&now["state"].as_str().unwrap()) {
                return now;
            }
            let name = step.name();
            assert!(began.elapsed() < Duration::from_secs(120), "killed {name}: {now}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Asks, and gives what was asked for if there was an answer. The same key is the same one.
    fn ask(&self, name: &str) -> impl Future<Output = Option<Value>> + Send + use<> {
        let (http, token): (Client, String) =
            (self.serving.http.clone(), self.serving.token(Role::Admin, "admin"));
        let url = format!("{}/v1/{}", self.serving.url, self.asked.word);
        let name = name.to_owned();
        async move {
            let request = http.post(url).bearer_auth(token).header("idempotency-key", &name);
            let body = json!({ "email": format!("{name}@kill") });
            let answer = request.json(&body).send().await.ok()?;
            let status = answer.status();
            let answer: Value = answer.json().await.ok()?;
            assert!(status.is_success(), "{answer}");
            Some(answer)
        }
    }
}

/// Has one customer after the other ask, each at a lake under `prefix`, and kills the server at a step;
/// `also` is looked at once each is done, and at the end without a name.
pub async fn killed(
    (s3, folder, prefix): (&SeaweedFs, &Path, &str),
    asked: &Asked,
    steps: &[Step],
    also: impl AsyncFn(&Killed<'_>, Option<&str>),
) {
    println!("{} steps", steps.len());
    let direct = s3.environment();
    let start = async |environment: Vec<(String, String)>| {
        Serving::start_with(folder, TOML, |command| {
            command.args(["--storage", &format!("s3://lake/{prefix}")]).envs(environment);
        })
        .await
    };
    let serving = start(direct.clone()).await;
    let names: Vec<String> = (0..steps.len()).map(|number| format!("c{number}")).collect();
    let killed = Killed { serving: &serving, asked };
    let all = names.iter().map(String::as_str).chain(["kept"]).map(records).collect::<Vec<_>>();
    for table in 0..3 {
        let text = all.iter().map(|records| records[table].1.as_str()).collect();
        killed.load(all[0][table].0, text).await;
    }
    let token = serving.token(Role::Admin, "admin");
    let request = serving.http.post(format!("{}/v1/promotions", serving.url)).bearer_auth(token);
    let promoted = request.header("prefer", "wait=60").send().await.unwrap();
    assert_eq!(promoted.status(), 200);
    let everywhere = asked.tables.len();
    assert_eq!(killed.held("kept").await, everywhere);
    assert_eq!(serving.process.terminate(), Some(0));

    for (&step, name) in steps.iter().zip(&names) {
        let proxy = step.proxy(&s3.endpoint(), prefix);
        let serving = start(proxy.through(&direct)).await;
        let killed = Killed { serving: &serving, asked };
        assert_eq!(killed.held(name).await, everywhere, "{name}");
        let answer = tokio::spawn(killed.ask(name));
        let process = serving.process;
        tokio::task::spawn_blocking(move || kill_when_held(&proxy, process, step)).await.unwrap();
        let answered = answer.await.unwrap();

        let serving = start(direct.clone()).await;
        let killed = Killed { serving: &serving, asked };
        let what = format!("killed {}", step.name());
        // What was acknowledged is so after the next start, whoever does the rest.
        if answered.as_ref().is_some_and(|answer| answer["acknowledged"].is_i64()) {
            assert_eq!(killed.held(name).await, 0, "{what}");
        }
        let again = killed.ask(name).await.unwrap();
        assert!(again["acknowledged"].is_i64(), "{what}: {again}");
        assert_eq!(killed.held(name).await, 0, "{what}");
        let ended = killed.ended(again["id"].as_str().unwrap(), step).await;
        assert_eq!(
            (&ended["state"], &ended["found"]),
            (&json!("succeeded"), &json!([])),
            "{what}: {ended}"
        );
        assert_eq!(killed.held(name).await, 0, "{what}");
        also(&killed, Some(name)).await;
        assert_eq!(killed.held("kept").await, everywhere, "{what}");
        assert_eq!(serving.process.terminate(), Some(0));
    }
    // Each has one certificate.
    let serving = start(direct).await;
    also(&Killed { serving: &serving, asked }, None).await;
    let list = serving.json(&format!("/v1/{}?limit=200", asked.word)).await;
    let list = list[asked.word].as_array().unwrap();
    let numbers = list.iter().map(|one| one["certificate"].as_u64().unwrap());
    let mut numbers: Vec<u64> = numbers.collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=steps.len() as u64).collect::<Vec<_>>());
}

/// Somebody's records are sent again, each kind by itself; how many are kept out, and how many not.
pub async fn sent_again(killed: &Killed<'_>, name: &str) -> (u64, u64) {
    let mut counts = (0, 0);
    for (table, text) in records(name) {
        let result = killed.load(table, text).await;
        let number = |of: &str| result[of].as_u64().unwrap();
        counts.0 += number("suppressed");
        counts.1 += number("received") - number("suppressed");
    }
    counts
}
