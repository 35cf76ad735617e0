//! A server and the calls that it answers.

use std::time::{Duration, Instant};

use reqwest::{Client, Url};
use stedi_openapi::Health;

use crate::error::ClientError;

/// How long is waited between two questions.
const PAUSE: Duration = Duration::from_millis(200);
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server at an address.
#[derive(Clone, Debug)]
pub struct Server {
    address: Url,
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
        let http = Client::builder().timeout(PATIENCE).build().map_err(|_| wrong())?;
        Ok(Self { address: url, http })
    }

    /// Whether the server's lake answers (`GET /readyz`).
    ///
    /// # Errors
    /// If the server does not answer.
    pub async fn health(&self) -> Result<Health, ClientError> {
        let failed = |source| ClientError::NoAnswer { server: self.address.to_string(), source };
        let mut url = self.address.clone();
        url.set_path("/readyz");
        let answer = self.http.get(url).send().await.map_err(failed)?;
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
