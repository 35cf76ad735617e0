//! Promotions as a resource: asked for, watched, cancelled, taken over, by themselves.

mod asked;
mod rules;
mod servers;
mod themselves;
mod troubled;

use std::time::{Duration, Instant};

use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use stedi_server::auth::Role;

use crate::support::{Serving, fixture};

/// What may take long is waited for this long.
const PATIENCE: Duration = Duration::from_secs(90);

/// A server, and what admins ask of it.
struct Site {
    serving: Serving,
}

impl Site {
    async fn start(folder: &std::path::Path, toml: &str) -> Self {
        Self { serving: Serving::start(folder, toml).await }
    }

    /// With the pipeline of tables that fail, wait, take long, or break their rules.
    async fn troubled(folder: &std::path::Path, toml: &str) -> Self {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/pipelines/troubled");
        Self::start(folder, &format!("{toml}\n[pipeline]\ndir = {dir:?}\n")).await
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.post_as("admin", path)
    }

    fn post_as(&self, who: &str, path: &str) -> RequestBuilder {
        let token = self.serving.token(Role::Admin, who);
        self.http().post(format!("{}{path}", self.serving.url)).bearer_auth(token)
    }

    fn http(&self) -> &Client {
        &self.serving.http
    }

    async fn load(&self, table: &str, text: impl Into<String>) {
        let answer = self.post(&format!("/v1/landing/{table}")).body(text.into());
        assert_eq!(answer.send().await.unwrap().status(), 200);
    }

    async fn load_fixture(&self) {
        for (table, folder) in [
            ("customer_landing", "customer"),
            ("accelerometer_landing", "accelerometer"),
            ("step_trainer_landing", "step_trainer"),
        ] {
            for entry in std::fs::read_dir(fixture().join(folder)).unwrap() {
                self.load(table, std::fs::read_to_string(entry.unwrap().path()).unwrap()).await;
            }
        }
    }

    /// Numbers from 1000 down, each under a key of its own.
    async fn load_numbers(&self, count: usize) {
        let rows = (0..count).map(|n| json!({ "k": format!("k{n}"), "n": 1000 - n }).to_string());
        self.load("numbers", rows.collect::<Vec<_>>().join("\n")).await;
    }

    /// A run of these tables, or all, once it has ended.
    async fn promote(&self, tables: &[&str]) -> Value {
        let run = self.ask(tables).await;
        self.ended(run["id"].as_str().unwrap()).await
    }

    /// A run of these tables, or all.
    async fn ask(&self, tables: &[&str]) -> Value {
        let body = if tables.is_empty() { json!({}) } else { json!({ "tables": tables }) };
        let answer = self.post("/v1/promotions").json(&body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        answer.json().await.unwrap()
    }

    async fn ended(&self, id: &str) -> Value {
        self.until(id, |run| !["queued", "running"].contains(&run["state"].as_str().unwrap())).await
    }

    async fn until(&self, id: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            let run = self.run(id).await;
            if holds(&run) {
                return run;
            }
            assert!(started.elapsed() < PATIENCE, "{run}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    async fn run(&self, id: &str) -> Value {
        self.serving.json(&format!("/v1/promotions/{id}")).await
    }

    async fn cancel(&self, id: &str) -> Value {
        let answer = self.post(&format!("/v1/promotions/{id}/cancel")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    }

    async fn sql(&self, sql: &str) -> Value {
        let answer = self.post("/v1/sql").json(&json!({ "sql": sql })).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{sql}");
        answer.json::<Value>().await.unwrap()["rows"].take()
    }
}

impl Site {
    /// The answer to a statement once it is this: of tables that others write, a server may know
    /// what was a moment ago.
    async fn sql_becomes(&self, sql: &str, expected: Value) {
        let started = Instant::now();
        loop {
            let rows = self.sql(sql).await;
            if rows == expected {
                return;
            }
            assert!(started.elapsed() < Duration::from_secs(20), "{sql}: {rows}, not {expected}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// One word of each table of a run.
fn each<'a>(run: &'a Value, key: &str) -> Vec<(&'a str, &'a str)> {
    let tables = run["tables"].as_array().unwrap().iter();
    let word = |table: &'a Value, key: &str| table[key].as_str().unwrap_or("-");
    tables.map(|table| (word(table, "table"), word(table, key))).collect()
}

/// What a table of a run says.
fn table<'a>(run: &'a Value, name: &str) -> &'a Value {
    let tables = run["tables"].as_array().unwrap();
    tables.iter().find(|table| table["table"] == name).unwrap_or_else(|| panic!("{name}: {run}"))
}
