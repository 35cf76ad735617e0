//! The service over a real socket.

use std::sync::Arc;

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use stedi_server::api::{ApiState, OWN_LIMITS, router};
use stedi_server::app::{App, verifier};
use stedi_server::auth::{LocalKey, Role};
use stedi_server::config::Config;
use stedi_server::edge::Server;
use tokio::task::JoinHandle;

/// A server that ends with the test.
pub struct TestServer {
    pub url: String,
    config: Config,
    http: Client,
    task: JoinHandle<()>,
}

impl TestServer {
    /// Serves the lake of a configuration.
    pub async fn start(config: &Config) -> Self {
        let app = Arc::new(App::open(config).await.unwrap());
        let verifier = Arc::new(verifier(config).await.unwrap());
        let (promotions, imports) = (app.promotions.clone(), app.imports.clone());
        let maintenance = app.maintenance.clone();
        let address = ([127, 0, 0, 1], 0).into();
        let server = Server::bind(address, &config.http, app.metrics.clone()).await.unwrap();
        let url = server.url();
        let service = router(ApiState { app, verifier });
        let task = tokio::spawn(async move {
            let serving = server.serve(service, OWN_LIMITS, std::future::pending());
            let (runs, imports) = (promotions.work().keep_working(), imports.work().keep_working());
            tokio::join!(serving, runs, imports, maintenance.work().keep_working());
        });
        Self { url, config: config.clone(), http: Client::new(), task }
    }

    /// A token of the local key.
    pub fn token(&self, role: Role) -> String {
        self.token_of(role, "test")
    }

    /// The same for somebody else.
    pub fn token_of(&self, role: Role, subject: &str) -> String {
        let claims = stedi_server::app::token_rules(&self.config).claims(
            subject,
            role,
            now(),
            std::time::Duration::from_secs(600),
        );
        LocalKey::open(&self.config.auth_key()).unwrap().sign(&claims).unwrap()
    }

    /// A request with a token, or without.
    pub fn request(&self, method: Method, path: &str, token: Option<&str>) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// GET with a token, or without.
    pub async fn get(&self, path: &str, token: Option<&str>) -> Response {
        self.request(Method::GET, path, token).send().await.unwrap()
    }

    /// Status and JSON of a GET.
    pub async fn json(&self, path: &str, token: Option<&str>) -> (StatusCode, Value) {
        let answer = self.get(path, token).await;
        (answer.status(), answer.json().await.unwrap())
    }

    /// Status and `code` of a GET that is refused.
    pub async fn problem(&self, path: &str, token: Option<&str>) -> (u16, String) {
        let answer = self.get(path, token).await;
        let status = answer.status().as_u16();
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        assert_eq!(answer.headers().contains_key("www-authenticate"), status == 401);
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["status"], status);
        (status, body["code"].as_str().unwrap().to_owned())
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap().as_secs()
}
