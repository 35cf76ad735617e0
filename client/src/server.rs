//! A server and the calls that it answers.

use std::fmt;
use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, Method, RequestBuilder, Response, Url};
use serde::de::DeserializeOwned;
use stedi_openapi::Health;

use crate::error::ClientError;
use crate::retry::{Backoff, Retries};

/// How long is waited between two questions.
const PAUSE: Duration = Duration::from_millis(200);
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a connection may be silent before it is looked whether the other side is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// A server at an address.
#[derive(Clone)]
pub struct Server {
    address: Url,
    token: Option<String>,
    http: Client,
    retries: Retries,
}

/// Without the token.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address.as_str()).finish_non_exhaustive()
    }
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
        let http = Client::builder().connect_timeout(PATIENCE).tcp_keepalive(KEEPALIVE);
        let http = http.build().map_err(|_| wrong())?;
        Ok(Self { address: url, token: None, http, retries: Retries::default() })
    }

    /// The same server, asked by the owner of a token.
    pub fn with_token(self, token: impl Into<String>) -> Self {
        Self { token: Some(token.into()), ..self }
    }

    /// The same server; calls that may be made again are, so often.
    pub fn with_retries(self, retries: Retries) -> Self {
        Self { retries, ..self }
    }

    /// Its address.
    pub fn address(&self) -> &str {
        self.address.as_str()
    }

    /// A request to a path, whose parts may hold anything.
    pub(crate) fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
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

    pub(crate) async fn answer<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> Result<T, ClientError> {
        let answer = self.sent(request).await?;
        answer.json().await.map_err(|error| self.no_answer(error))
    }

    /// The answer to a request that may be sent again: it changes nothing, or has a key. It is,
    /// where the server does not answer or says that it may be better later.
    pub(crate) async fn again<T: DeserializeOwned>(
        &self,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<T, ClientError> {
        self.repeated(|| self.answer(request())).await
    }

    /// The same, of an answer whose body is not read yet.
    pub(crate) async fn sent_again(
        &self,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Response, ClientError> {
        self.repeated(|| self.sent(request())).await
    }

    async fn repeated<T, F: Future<Output = Result<T, ClientError>>>(
        &self,
        call: impl Fn() -> F,
    ) -> Result<T, ClientError> {
        let mut backoff = Backoff::new(self.retries);
        loop {
            match call().await {
                Ok(answer) => return Ok(answer),
                Err(error) => match backoff.pause(&error) {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => return Err(error),
                },
            }
        }
    }

    /// The answer, unless it is a problem.
    pub(crate) async fn sent(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let answer = request.send().await.map_err(|error| self.no_answer(error))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status().as_u16();
        let retry_after = retry_after(answer.headers());
        let body = answer.bytes().await.map_err(|error| self.no_answer(error))?;
        Err(match serde_json::from_slice(&body) {
            Ok(problem) => ClientError::Problem { problem: Box::new(problem), retry_after },
            Err(_) => ClientError::Status { status, retry_after },
        })
    }

    pub(crate) fn no_answer(&self, source: reqwest::Error) -> ClientError {
        ClientError::NoAnswer { server: self.address.to_string(), source }
    }

    /// Whether the server's lake answers (`GET /readyz`).
    ///
    /// # Errors
    /// If the server does not answer.
    pub async fn health(&self) -> Result<Health, ClientError> {
        let asked = self.request(Method::GET, &["readyz"]).send().await;
        let answer = asked.map_err(|error| self.no_answer(error))?;
        answer.json().await.map_err(|error| self.no_answer(error))
    }

    /// Asks until the server is ready.
    ///
    /// # Errors
    /// [`ClientError::NotReady`] if it is not within `wait`.
    pub async fn ready(&self, wait: Duration) -> Result<(), ClientError> {
        let started = Instant::now();
        loop {
            let last = match self.health().await {
                Ok(Health::Ok { .. }) => return Ok(()),
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

/// `Retry-After` in seconds (RFC 9110, section 10.2.3); the form with a date is not understood.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}
