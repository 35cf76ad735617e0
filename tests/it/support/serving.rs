//! The service as a process of its own, which can be killed and started again.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::Value;
use stedi_server::auth::{LocalKey, Role};
use stedi_server::config::Config;

use super::{Running, free_port, server};

/// A server process on a lake and a state folder of the test's.
pub struct Serving {
    pub process: Running,
    pub url: String,
    pub http: Client,
    /// Seconds by which its clock is ahead of this one's.
    pub ahead: i64,
    config: Config,
}

impl Serving {
    /// Starts it in a folder, with a configuration file there, and waits until it is ready.
    pub async fn start(folder: &Path, toml: &str) -> Self {
        Self::start_with(folder, toml, |_| {}).await
    }

    /// The same, with further flags or variables.
    pub async fn start_with(folder: &Path, toml: &str, change: impl FnOnce(&mut Command)) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        std::fs::write(folder.join("stedi.toml"), toml).unwrap();
        let mut command = server();
        command.current_dir(folder).args(["serve", "--config", "stedi.toml", "--listen", &address]);
        change(&mut command);
        let process = Running::start(&mut command);
        let config = Config { state_dir: folder.join(".stedi"), ..Config::default() };
        let url = format!("http://{address}");
        let serving = Self { process, url, http: Client::new(), ahead: 0, config };
        let started = Instant::now();
        while !serving.ready().await {
            assert!(started.elapsed() < Duration::from_secs(60), "the server does not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        serving
    }

    async fn ready(&self) -> bool {
        let answer = self.http.get(format!("{}/readyz", self.url)).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// A token of the local key.
    pub fn token(&self, role: Role, subject: &str) -> String {
        let rules = stedi_server::app::token_rules(&self.config);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let now = now.as_secs().checked_add_signed(self.ahead).unwrap();
        let claims = rules.claims(subject, role, now, Duration::from_secs(600));
        LocalKey::open(&self.config.auth_key()).unwrap().sign(&claims).unwrap()
    }

    /// JSON of a GET by an admin.
    pub async fn json(&self, path: &str) -> Value {
        let token = self.token(Role::Admin, "reader");
        let request = self.http.get(format!("{}{path}", self.url)).bearer_auth(token);
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap()
    }
}
