//! A server and the calls that it answers.

use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder, Url};
use serde::de::DeserializeOwned;
use stedi_openapi::{Health, HistoryQuery, Problem, TableHistory, TableList};

use crate::error::ClientError;

/// How long is waited between two questions.
const PAUSE: Duration = Duration::from_millis(200);
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server at an address.
#[derive(Clone, Debug)]
pub struct Server {
    address: Url,
    token: Option<String>,
    http: Client,
}

impl Server {
    /// The server at `http://HOST:PORT`.
    ///
    /// # Errors
    /// [`ClientError::Address`] if it is not one.
    pub fn new(address: &str) -> Result<Self, ClientError> {
        let wrong = || ClientError::Address(address.to_owned());
        let url = Url::parse(address).map_err(|_| wrong())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong());
        }
        let http = Client::builder().connect_timeout(PATIENCE).build().map_err(|_| wrong())?;
        Ok(Self { address: url, token: None, http })
    }

    /// The same server, asked by the owner of a token.
    pub fn with_token(self, token: impl Into<String>) -> Self {
        Self { token: Some(token.into()), ..self }
    }

    /// The tables that are there for the token's owner (`GET /v1/tables`).
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn tables(&self) -> Result<TableList, ClientError> {
        self.answer(self.request(Method::GET, &["v1", "tables"])).await
    }

    /// A page of a table's versions, newest first (`GET /v1/tables/{table}/history`).
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn history(
        &self,
        table: &str,
        page: &HistoryQuery,
    ) -> Result<TableHistory, ClientError> {
        let path = ["v1", "tables", table, "history"];
        self.answer(self.request(Method::GET, &path).query(page)).await
    }

    /// A request to a path, whose parts may hold anything.
    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = self.address.clone();
        url.set_path("");
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.clear().extend(path);
        }
        let request = self.http.request(method, url).timeout(PATIENCE);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn answer<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ClientError> {
        let failed = |source| ClientError::NoAnswer { server: self.address.to_string(), source };
        let answer = request.send().await.map_err(failed)?;
        if !answer.status().is_success() {
            let problem: Problem = answer.json().await.map_err(failed)?;
            return Err(ClientError::Problem(Box::new(problem)));
        }
        answer.json().await.map_err(failed)
    }

    /// Whether the server's lake answers (`GET /readyz`).
    ///
    /// # Errors
    /// If the server does not answer.
    pub async fn health(&self) -> Result<Health, ClientError> {
        let failed = |source| ClientError::NoAnswer { server: self.address.to_string(), source };
        let answer = self.request(Method::GET, &["readyz"]).send().await.map_err(failed)?;
        answer.json().await.map_err(failed)
    }

    /// Asks until the server is ready.
    ///
    /// # Errors
    /// [`ClientError::NotReady`] if it is not within `wait`.
    pub async fn ready(&self, wait: Duration) -> Result<(), ClientError> {
        let started = Instant::now();
        loop {
            let last = match self.health().await {
                Ok(Health::Ok) => return Ok(()),
                Ok(Health::Unavailable) => "its lake does not answer".to_owned(),
                Err(error) => error.to_string(),
            };
            if started.elapsed() + PAUSE > wait {
                let server = self.address.to_string();
                return Err(ClientError::NotReady { server, seconds: wait.as_secs(), last });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
