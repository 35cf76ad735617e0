//! Keys from a JWKS (RFC 7517), a file or a URL, kept fresh.
//!
//! A token names its key by `kid`, and that name is only looked up: nothing a token says decides
//! where keys come from. A name that is not known makes the set be read again, but not more often
//! than the configured pause, however many such tokens come.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::Jwk;
use reqwest::{Client, Url, redirect};
use serde::Deserialize;
use tokio::sync::{Mutex, RwLock};

use super::error::{AuthError, KeyError};
use super::key::VerifyingKey;

/// How long the answer of a URL may take, and how many bytes it may have.
const PATIENCE: Duration = Duration::from_secs(5);
const ANSWER_BYTES: usize = 1024 * 1024;

/// Where a key set comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwksSource {
    /// A file.
    File(PathBuf),
    /// A URL: https, or http on loopback.
    Url(Url),
}

impl JwksSource {
    /// Takes the configured text.
    ///
    /// # Errors
    /// [`KeyError::Source`] for a URL over which anybody on the way could put keys of their own.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let Ok(url) = Url::parse(text) else { return Ok(Self::File(PathBuf::from(text))) };
        let host = url.host_str().unwrap_or_default();
        let loopback = ["127.0.0.1", "[::1]", "localhost"].contains(&host);
        match url.scheme() {
            "https" => Ok(Self::Url(url)),
            "http" if loopback => Ok(Self::Url(url)),
            _ => Err(KeyError::Source(text.to_owned())),
        }
    }
}

/// How fresh a key set is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// After this time the set is read again: a removed key stops working then.
    pub refresh: Duration,
    /// The set is not read more often than this, whatever is asked for.
    pub pause: Duration,
    /// A set that could not be read again is used for at most this time.
    pub stale: Duration,
}

#[derive(Debug)]
pub(super) struct Jwks {
    source: JwksSource,
    freshness: Freshness,
    http: Client,
    set: RwLock<KeySet>,
    /// Held while the set is read, so that it is read once however many wait for it.
    reading: Mutex<Option<Instant>>,
}

#[derive(Debug, Default)]
struct KeySet {
    keys: HashMap<String, VerifyingKey>,
    read: Option<Instant>,
}

/// A JWKS of which keys that are not understood are left out, not refused (RFC 7517, section 5).
#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

impl Jwks {
    pub fn new(source: JwksSource, freshness: Freshness) -> Result<Self, KeyError> {
        let http = Client::builder()
            .timeout(PATIENCE)
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|error| KeyError::Jwks {
            source_name: name(&source),
            reason: error.to_string(),
        })?;
        let set = RwLock::new(KeySet::default());
        Ok(Self { source, freshness, http, set, reading: Mutex::new(None) })
    }

    /// Reads the set; at start this shows at once what is wrong with it.
    pub async fn refresh(&self) -> Result<(), KeyError> {
        let mut tried = self.reading.lock().await;
        *tried = Some(Instant::now());
        let keys = self.read().await?;
        *self.set.write().await = KeySet { keys, read: Some(Instant::now()) };
        Ok(())
    }

    /// The key of a name.
    pub async fn find(&self, kid: &str) -> Result<VerifyingKey, AuthError> {
        let (found, age) = self.look(kid).await;
        let fresh = age.is_some_and(|age| age < self.freshness.refresh);
        if let Some(key) = found.as_ref().filter(|_| fresh) {
            return Ok(key.clone());
        }
        self.read_again().await;
        match self.look(kid).await {
            (_, Some(age)) if age >= self.freshness.stale => Err(AuthError::NoKeys),
            (_, None) => Err(AuthError::NoKeys),
            (Some(key), _) => Ok(key),
            (None, _) => Err(AuthError::Signature),
        }
    }

    async fn look(&self, kid: &str) -> (Option<VerifyingKey>, Option<Duration>) {
        let set = self.set.read().await;
        (set.keys.get(kid).cloned(), set.read.map(|read| read.elapsed()))
    }

    /// Reads the set unless somebody did so within the pause.
    async fn read_again(&self) {
        let mut tried = self.reading.lock().await;
        if tried.is_some_and(|tried| tried.elapsed() < self.freshness.pause) {
            return;
        }
        *tried = Some(Instant::now());
        match self.read().await {
            Ok(keys) => *self.set.write().await = KeySet { keys, read: Some(Instant::now()) },
            Err(error) => tracing::warn!(%error, "the key set was not read again"),
        }
    }

    async fn read(&self) -> Result<HashMap<String, VerifyingKey>, KeyError> {
        let wrong = |reason: String| KeyError::Jwks { source_name: name(&self.source), reason };
        let bytes = match &self.source {
            JwksSource::File(file) => {
                tokio::fs::read(file).await.map_err(|error| wrong(error.to_string()))?
            }
            JwksSource::Url(url) => self.fetch(url).await.map_err(wrong)?,
        };
        let document: Document =
            serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        let mut keys = HashMap::new();
        for value in document.keys {
            let Ok(jwk) = serde_json::from_value::<Jwk>(value) else { continue };
            if let (Some(kid), Some(key)) = (&jwk.common.key_id, VerifyingKey::from_jwk(&jwk)) {
                keys.insert(kid.clone(), key);
            }
        }
        match keys.is_empty() {
            false => Ok(keys),
            true => Err(wrong("holds no Ed25519, P-256 or RSA key with a kid".to_owned())),
        }
    }

    async fn fetch(&self, url: &Url) -> Result<Vec<u8>, String> {
        let text = |error: reqwest::Error| error.without_url().to_string();
        let mut answer = self.http.get(url.clone()).send().await.map_err(text)?;
        if !answer.status().is_success() {
            return Err(format!("answered {}", answer.status()));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(text)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > ANSWER_BYTES {
                return Err(format!("longer than {ANSWER_BYTES} bytes"));
            }
        }
        Ok(bytes)
    }
}

fn name(source: &JwksSource) -> String {
    match source {
        JwksSource::File(file) => file.display().to_string(),
        JwksSource::Url(url) => url.to_string(),
    }
}
