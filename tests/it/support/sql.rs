//! Statements over HTTP.

use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use stedi_server::auth::Role;

use super::TestServer;

/// Ten rows, for cross joins that make many.
pub const DIGITS: &str =
    "digits AS (SELECT * FROM (VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)) AS v(n))";

/// A statement that runs for hours before its first row.
pub fn endless() -> String {
    let tables: Vec<String> = (0..14).map(|at| format!("digits d{at}")).collect();
    let tables = tables.join(", ");
    format!("WITH {DIGITS} SELECT count(*) FROM {tables} WHERE sqrt(d0.n + d13.n) > 1.5")
}

/// A statement with so many rows; each is a number of its own and a text.
pub fn many(rows: u64) -> String {
    let tables = (0..).take_while(|at| 10_u64.pow(*at) < rows).count();
    let columns = (0..tables).map(|at| format!("{} * d{at}.n", 10_u64.pow(at as u32)));
    let from = (0..tables).map(|at| format!("digits d{at}"));
    let columns = columns.collect::<Vec<_>>().join(" + ");
    let from = from.collect::<Vec<_>>().join(", ");
    format!(
        "WITH {DIGITS} SELECT {columns} AS n, 'a text of some length' AS s FROM {from} LIMIT {rows}"
    )
}

/// An answer.
#[derive(Debug)]
pub struct Answered {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answered {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}", self.text()))
    }

    /// A header's value; "" where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The rows of a result in JSON.
    pub fn rows(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json()["rows"].clone()
    }

    /// Status and code of a problem.
    pub fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text());
        let body = self.json();
        assert_eq!(body["status"], self.status);
        (self.status, body["code"].as_str().unwrap().to_owned())
    }

    /// What a problem says.
    pub fn detail(&self) -> String {
        self.problem();
        self.json()["detail"].as_str().unwrap().to_owned()
    }
}

/// Sends a request and reads its answer.
pub async fn answered(request: RequestBuilder) -> Answered {
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    Answered { status, headers, body: answer.bytes().await.unwrap().to_vec() }
}

impl TestServer {
    /// POST of a statement as plain text.
    pub fn statement(&self, role: Role, sql: &str) -> RequestBuilder {
        self.post_sql("/v1/sql", role, sql)
    }

    /// The same to another path.
    pub fn post_sql(&self, path: &str, role: Role, sql: &str) -> RequestBuilder {
        self.request(Method::POST, path, Some(&self.token(role)))
            .header("content-type", "text/plain")
            .body(sql.to_owned())
    }

    /// The answer to a statement, in JSON.
    pub async fn sql(&self, role: Role, sql: &str) -> Answered {
        answered(self.statement(role, sql)).await
    }

    /// The answer to a statement with parameters.
    pub async fn bound(&self, role: Role, sql: &str, parameters: Value) -> Answered {
        let body = json!({ "sql": sql, "parameters": parameters });
        let request = self.request(Method::POST, "/v1/sql", Some(&self.token(role)));
        answered(request.json(&body)).await
    }

    /// The rows of a statement.
    pub async fn rows(&self, role: Role, sql: &str) -> Value {
        let answer = self.sql(role, sql).await;
        assert_eq!(answer.status, 200, "{sql}: {}", answer.text());
        answer.rows()
    }

    /// Statements that run and that wait.
    pub async fn going_on(&self) -> (u64, u64) {
        let (_, limits) = self.json("/v1/limits", Some(&self.token(Role::Admin))).await;
        (limits["running_now"].as_u64().unwrap(), limits["queued_now"].as_u64().unwrap())
    }

    /// Waits until so many statements run and wait; how long it took.
    pub async fn until_going_on(&self, expected: (u64, u64)) -> Duration {
        let began = Instant::now();
        loop {
            let now = self.going_on().await;
            if now == expected {
                return began.elapsed();
            }
            assert!(began.elapsed() < Duration::from_secs(20), "{now:?}, expected {expected:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
