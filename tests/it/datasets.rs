//! Snapshots: made, kept, read, removed.

mod bucket;
mod flight;
mod followed;
mod kept;
mod made;
mod many;
mod pulled;
mod recent;
mod redacted;
mod redirected;
mod rows;

use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use stedi_server::auth::Role;

use crate::support::Serving;

/// Nothing is waited for that nobody needs here.
pub const QUICK: &str = "[consent]\ngrace_seconds = 0\nlease_seconds = 2\n[maintenance]\nevery_seconds = 0\n[lake]\nstaleness_ms = 0\n";

pub struct Site {
    pub serving: Serving,
}

impl Site {
    pub async fn start(folder: &Path, toml: &str) -> Self {
        Self { serving: Serving::start(folder, toml).await }
    }

    pub fn ask(&self, role: Role, method: &str, path: &str) -> RequestBuilder {
        let token = self.serving.token(role, role.name());
        let method = method.parse().unwrap();
        self.serving.http.request(method, format!("{}{path}", self.serving.url)).bearer_auth(token)
    }

    pub async fn answer(&self, request: RequestBuilder) -> (u16, Value) {
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap())
    }

    pub async fn load(&self, table: &str, text: impl Into<String>) {
        let request = self.ask(Role::Admin, "POST", &format!("/v1/landing/{table}"));
        let (status, result) = self.answer(request.body(text.into())).await;
        assert_eq!(status, 200, "{result}");
    }

    pub async fn promote(&self) {
        let request = self.ask(Role::Admin, "POST", "/v1/promotions").header("prefer", "wait=60");
        let (status, run) = self.answer(request.json(&json!({}))).await;
        assert_eq!((status, &run["state"]), (200, &json!("succeeded")), "{run}");
    }

    /// Customers with a device each, who consent and have readings at these times.
    pub async fn customers(&self, names: &[&str], times: std::ops::Range<i64>) {
        let (mut customers, mut readings, mut steps) =
            (String::new(), String::new(), String::new());
        for name in names {
            let customer = json!({
                "customerName": format!("Name Of {name}"),
                "email": format!("{name}@set"),
                "birthDay": "1950-01-01",
                "serialNumber": format!("serial-of-{name}"),
                "registrationDate": 1,
                "lastUpdateDate": 10,
                "shareWithResearchAsOfDate": 1000,
            });
            customers += &format!("{customer}\n");
            for time in times.clone() {
                let reading = json!({ "user": format!("{name}@set"), "timestamp": time, "x": 0.5, "y": 1, "z": -1 });
                readings += &format!("{reading}\n");
                let step = json!({ "sensorReadingTime": time, "serialNumber": format!("serial-of-{name}"), "distanceFromObject": 7 });
                steps += &format!("{step}\n");
            }
        }
        self.load("customer_landing", customers).await;
        self.load("accelerometer_landing", readings).await;
        self.load("step_trainer_landing", steps).await;
        self.promote().await;
    }

    pub async fn snapshot(&self, body: Value) -> Value {
        let request = self.ask(Role::Trainer, "POST", "/v1/snapshots").json(&body);
        let (status, manifest) = self.answer(request).await;
        assert_eq!(status, 201, "{manifest}");
        manifest
    }

    /// Long work once it has ended.
    pub async fn ended(&self, kind: &str, id: &str) -> Value {
        let started = Instant::now();
        loop {
            let work = self.serving.json(&format!("/v1/{kind}/{id}")).await;
            if !["queued", "running"].contains(&work["state"].as_str().unwrap()) {
                return work;
            }
            assert!(started.elapsed() < Duration::from_secs(120), "{work}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.answer(self.ask(Role::Trainer, "GET", path)).await
    }

    /// The files of a manifest as they lie in the lake, each with its digest as it is said to be.
    pub fn files(&self, lake: &Path, manifest: &Value) -> Vec<(String, Vec<u8>)> {
        let mut files = Vec::new();
        for table in manifest["tables"].as_array().unwrap() {
            for file in table["files"].as_array().unwrap() {
                let sha256 = file["sha256"].as_str().unwrap().to_owned();
                let name = file["path"].as_str().unwrap().rsplit('/').next().unwrap();
                let found = find(lake, name).unwrap_or_else(|| panic!("{name} is not there"));
                files.push((sha256, std::fs::read(found).unwrap()));
            }
        }
        files
    }
}

pub fn sha256(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn find(folder: &Path, name: &str) -> Option<std::path::PathBuf> {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => {
                if let Some(found) = find(&path, name) {
                    return Some(found);
                }
            }
            false if path.file_name().unwrap() == name => return Some(path),
            false => {}
        }
    }
    None
}
