//! A server with customers of a test's, and what it is asked by an admin.

use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use stedi_server::auth::Role;

use super::Serving;

/// Nothing is waited for that nobody needs here.
pub const QUICK: &str = "[consent]\ngrace_seconds = 0\nlease_seconds = 2\n[maintenance]\nevery_seconds = 0\ncheckpoint_commits = 1\n[lake]\nstaleness_ms = 0\n";
/// The derived tables.
pub const DERIVED: [&str; 5] = [
    "customer_trusted",
    "accelerometer_trusted",
    "customer_curated",
    "step_trainer_trusted",
    "machine_learning_curated",
];

/// A server, and what it is asked by an admin.
pub struct Site {
    pub serving: Serving,
}

impl Site {
    pub async fn start(folder: &Path, toml: &str) -> Self {
        Self { serving: Serving::start(folder, toml).await }
    }

    pub fn post(&self, path: &str) -> RequestBuilder {
        let token = self.serving.token(Role::Admin, "admin");
        self.serving.http.post(format!("{}{path}", self.serving.url)).bearer_auth(token)
    }

    pub async fn answer(&self, request: RequestBuilder) -> (u16, Value) {
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap())
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        let token = self.serving.token(Role::Admin, "admin");
        let request = self.serving.http.get(format!("{}{path}", self.serving.url));
        self.answer(request.bearer_auth(token)).await
    }

    pub async fn load(&self, table: &str, text: impl Into<String>) -> Value {
        let request = self.post(&format!("/v1/landing/{table}")).body(text.into());
        let (status, result) = self.answer(request).await;
        assert_eq!(status, 200, "{result}");
        result
    }

    /// Customers with a device each, who consent and have readings; of some devices nobody is named.
    pub async fn customers(&self, names: &[&str]) {
        let mut customers = String::new();
        let (mut readings, mut steps) = (String::new(), String::new());
        for name in names {
            customers += &customer(name, 10, 1000);
            for time in 1..20 {
                readings += &format!(
                    "{{\"user\":\"{name}@rev\",\"timestamp\":{time},\"x\":1,\"y\":1,\"z\":1}}\n"
                );
                steps += &format!(
                    "{{\"sensorReadingTime\":{time},\"serialNumber\":\"serial-of-{name}\",\"distanceFromObject\":7}}\n"
                );
            }
            readings += &format!(
                "{{\"serialNumber\":\"serial-of-{name}\",\"timestamp\":77,\"x\":1,\"y\":1,\"z\":1}}\n"
            );
        }
        self.load("customer_landing", customers).await;
        self.load("accelerometer_landing", readings).await;
        self.load("step_trainer_landing", steps).await;
        self.promote().await;
    }

    /// Brings all tables up to date; the mode of each.
    pub async fn promote(&self) -> Vec<String> {
        let request = self.post("/v1/promotions").header("prefer", "wait=60");
        let (status, run) = self.answer(request.json(&json!({}))).await;
        assert_eq!((status, &run["state"]), (200, &json!("succeeded")), "{run}");
        let tables = run["tables"].as_array().unwrap();
        tables.iter().map(|table| table["mode"].as_str().unwrap().to_owned()).collect()
    }

    pub async fn ask(&self, sql: &str) -> (u16, Value) {
        self.answer(self.post("/v1/sql").json(&json!({ "sql": sql }))).await
    }

    pub async fn sql(&self, sql: &str) -> Value {
        let started = Instant::now();
        loop {
            let (status, answer) = self.ask(sql).await;
            // A statement that a new denial ends is asked again.
            if status == 503 && started.elapsed() < Duration::from_secs(20) {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
            assert_eq!(status, 200, "{sql}: {answer}");
            return answer["rows"].clone();
        }
    }

    pub async fn subject(&self, name: &str) -> String {
        let sql =
            format!("SELECT max(subject_id) FROM customer_landing WHERE email = '{name}@rev'");
        self.sql(&sql).await[0][0].as_str().unwrap().to_owned()
    }

    pub async fn ended(&self, path: &str) -> Value {
        let started = Instant::now();
        loop {
            let work = self.serving.json(path).await;
            if !["queued", "running"].contains(&work["state"].as_str().unwrap()) {
                return work;
            }
            assert!(started.elapsed() < Duration::from_secs(120), "{work}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A record of somebody.
pub fn customer(name: &str, updated: i64, shared: i64) -> String {
    let record = json!({
        "customerName": format!("Name Of {name}"),
        "email": format!("{name}@rev"),
        "phone": "8015551212",
        "birthDay": "1950-01-01",
        "serialNumber": format!("serial-of-{name}"),
        "registrationDate": 1,
        "lastUpdateDate": updated,
        "shareWithResearchAsOfDate": shared,
    });
    record.to_string() + "\n"
}
