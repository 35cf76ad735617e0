//! A server and the calls that it answers.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use futures::Stream;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, Client, Method, RequestBuilder, Response, Url};
use serde::de::DeserializeOwned;
use stedi_openapi::{
    Health, HistoryQuery, LoadQuery, LoadResult, Problem, TableHistory, TableList,
};

use crate::error::ClientError;

/// How long is waited between two questions.
const PAUSE: Duration = Duration::from_millis(200);
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a request is sent that may be sent again.
const TRIES: usize = 5;

/// Bytes of one chunk of an upload.
const CHUNK: usize = 128 * 1024;

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

    /// Loads a content of JSON records into a landing table (`POST /v1/landing/{table}`), as it is
    /// read; `length` where it is known before. There is no limit of time. The same content under the
    /// same key gives the first answer again.
    ///
    /// # Errors
    /// If the content cannot be read, the server does not answer, or says why not. Nothing is loaded
    /// then, but where the answer alone was lost; the same content again is never loaded twice.
    pub async fn load(
        &self,
        table: &str,
        query: &LoadQuery,
        key: &str,
        content: impl Read + Send + 'static,
        length: Option<u64>,
    ) -> Result<LoadResult, ClientError> {
        let body = Body::wrap_stream(chunks(content));
        let path = ["v1", "landing", table];
        let request = self.request(Method::POST, &path).query(query).timeout(Duration::MAX);
        let request = request.header(CONTENT_TYPE, "application/json").body(body);
        let request = request.header("idempotency-key", key);
        let request = match length {
            Some(length) => request.header(CONTENT_LENGTH, length),
            None => request,
        };
        self.answer(request).await
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
        let mut pause = PAUSE;
        for _ in 1..TRIES {
            match self.answer(request()).await {
                Err(error) if error.may_pass() => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                done => return done,
            }
        }
        self.answer(request()).await
    }

    /// The answer, unless it is a problem.
    pub(crate) async fn sent(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let answer = request.send().await.map_err(|error| self.no_answer(error))?;
        match answer.status().is_success() {
            true => Ok(answer),
            false => {
                let problem: Problem =
                    answer.json().await.map_err(|error| self.no_answer(error))?;
                Err(ClientError::Problem(Box::new(problem)))
            }
        }
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

/// What a reader gives, read on threads that may wait.
fn chunks<R: Read + Send + 'static>(
    reader: R,
) -> impl Stream<Item = io::Result<Vec<u8>>> + Send + 'static {
    futures::stream::try_unfold(reader, async |mut reader| {
        let read = tokio::task::spawn_blocking(move || {
            let mut chunk = vec![0; CHUNK];
            let length = reader.read(&mut chunk)?;
            chunk.truncate(length);
            io::Result::Ok((chunk, reader))
        });
        let (chunk, reader) = read.await.map_err(io::Error::other)??;
        Ok((!chunk.is_empty()).then_some((chunk, reader)))
    })
}
