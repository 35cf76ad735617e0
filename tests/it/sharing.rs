//! Tables as they are shared by the Delta Sharing protocol.

mod client;
mod denied;
mod files;
mod lists;
mod urls;

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};
use stedi_server::auth::Role;
use stedi_server::config::{Config, SharingConfig};

use crate::support::{Answered, TestLake, TestServer, answered};

/// Every derived table, with its zone.
const DERIVED: [(&str, &str); 5] = [
    ("trusted", "customer_trusted"),
    ("trusted", "accelerometer_trusted"),
    ("curated", "customer_curated"),
    ("trusted", "step_trainer_trusted"),
    ("curated", "machine_learning_curated"),
];
/// Columns that nobody gets.
const PII: [&str; 4] = ["customername", "email", "phone", "birthday"];

/// A filled lake, and a server on it.
struct Site {
    lake: TestLake,
    server: TestServer,
}

impl Site {
    async fn new() -> Self {
        Self::with(SharingConfig::default()).await
    }

    async fn with(sharing: SharingConfig) -> Self {
        let lake = TestLake::filled().await;
        let config = Config { sharing, ..lake.config.clone() };
        let server = TestServer::start(&config).await;
        Self { lake, server }
    }

    async fn get(&self, role: Role, path: &str) -> Answered {
        let token = self.server.token(role);
        answered(self.server.request(Method::GET, path, Some(&token))).await
    }

    async fn query(&self, role: Role, (zone, table): (&str, &str), body: Value) -> Answered {
        let path = format!("{}/query", table_path(zone, table));
        let token = self.server.token(role);
        answered(self.server.request(Method::POST, &path, Some(&token)).json(&body)).await
    }

    /// The files of a table, which has some.
    async fn files(&self, role: Role, table: (&str, &str), body: Value) -> Vec<Value> {
        let answer = self.query(role, table, body).await;
        assert_eq!(answer.status, 200, "{table:?}: {}", answer.text());
        files(&answer)
    }

    /// GET of a whole URL without a token.
    async fn fetch(&self, url: &str) -> Answered {
        self.fetch_as(Method::GET, url, &[]).await
    }

    async fn fetch_as(&self, method: Method, url: &str, headers: &[(&str, &str)]) -> Answered {
        let path = url.strip_prefix(&self.server.url).unwrap_or_else(|| panic!("{url}"));
        let mut request = self.server.request(method, path, None);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answered(request).await
    }
}

fn table_path(zone: &str, table: &str) -> String {
    format!("/sharing/shares/stedi/schemas/{zone}/tables/{table}")
}

/// The lines of an answer.
fn lines(answer: &Answered) -> Vec<Value> {
    assert_eq!(answer.header("content-type"), "application/x-ndjson; charset=utf-8");
    assert_eq!(answer.header("delta-sharing-capabilities"), "responseformat=parquet");
    answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The files of an answer, behind the lines that begin each.
fn files(answer: &Answered) -> Vec<Value> {
    let lines = lines(answer);
    assert_eq!(lines[0], json!({ "protocol": { "minReaderVersion": 1 } }));
    assert!(lines[1]["metaData"]["schemaString"].is_string());
    lines[2..].iter().map(|line| line["file"].clone()).collect()
}

/// Status and code of an error, in the words of the protocol.
fn refused(answer: &Answered) -> (u16, String) {
    assert_eq!(answer.header("content-type"), "application/json", "{}", answer.text());
    let body = answer.json();
    assert!(!body["message"].as_str().unwrap().is_empty());
    let words: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert!(
        words.iter().all(|word| ["errorCode", "message", "requestId"].contains(&word.as_str()))
    );
    (answer.status, body["errorCode"].as_str().unwrap().to_owned())
}

/// The rows of a Parquet file as text, by column; NULL is `NULL`.
fn rows(bytes: &[u8]) -> (Vec<String>, Vec<Vec<String>>) {
    use deltalake::arrow::array::RecordBatchReader;
    use deltalake::arrow::util::display::array_value_to_string;
    use deltalake::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    let bytes = bytes::Bytes::copy_from_slice(bytes);
    let read = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
    let names = read.schema().fields().iter().map(|field| field.name().clone()).collect();
    let mut rows = Vec::new();
    for batch in read {
        let batch = batch.unwrap();
        for row in 0..batch.num_rows() {
            let value = |column: &deltalake::arrow::array::ArrayRef| match column.is_null(row) {
                true => "NULL".to_owned(),
                false => array_value_to_string(column, row).unwrap(),
            };
            rows.push(batch.columns().iter().map(value).collect());
        }
    }
    (names, rows)
}

/// What the audit has of an action, newest first.
async fn records(site: &Site, action: &str) -> Vec<Value> {
    let token = site.server.token(Role::Admin);
    let path = format!("/v1/audit?action={action}&limit=500");
    let (status, body) = site.server.json(&path, Some(&token)).await;
    assert_eq!(status, 200, "{body}");
    body["records"].as_array().unwrap().clone()
}

/// The newest version of each derived table.
async fn versions(lake: &TestLake) -> BTreeMap<&'static str, u64> {
    let mut versions = BTreeMap::new();
    for (_, table) in DERIVED {
        versions.insert(table, lake.app.query.table(table).await.unwrap().version());
    }
    versions
}
