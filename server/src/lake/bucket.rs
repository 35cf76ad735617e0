//! The bucket of a lake, asked directly: for what the client of the store does not know. The requests
//! are signed by that client's signer.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, Request};
use deltalake::logstore::object_store::aws::{
    AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, AwsAuthorizer,
};
use deltalake::logstore::object_store::client::{
    HttpClient, HttpConnector, HttpRequest, HttpRequestBody, ReqwestConnector,
};
use deltalake::logstore::object_store::signer::Signer;
use deltalake::logstore::object_store::{ClientOptions, Error as StoreError};
use serde::de::DeserializeOwned;
use url::Url;

use super::error::LakeError;
use super::store::{Lake, store_options};
use super::store_keys::StoreKeys;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pauses before a request is repeated, each twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A bucket, asked directly.
#[derive(Debug)]
pub(super) struct Bucket {
    http: HttpClient,
    s3: AmazonS3,
    region: String,
    url: Url,
}

/// The store does not do it; the status of its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused(pub u16);

impl Lake {
    /// A URL of the store at which anybody gets an object for some time (whole seconds); none where
    /// the lake is in a folder.
    ///
    /// # Errors
    /// If there are no credentials, or the time is longer than the store takes.
    pub async fn presigned(&self, path: &str, time: Duration) -> Result<Option<Url>, LakeError> {
        let Some(bucket) = self.bucket().await? else { return Ok(None) };
        let key = self.object(path);
        let signed = bucket.s3.signed_url(Method::GET, &key, time).await;
        Ok(Some(signed.map_err(|error| of_store(path, error))?))
    }

    /// The bucket that the lake is in, made once: its clients read the authorities that they trust,
    /// which takes some ten milliseconds.
    pub(super) async fn bucket(&self) -> Result<Option<&Bucket>, LakeError> {
        let url = self.location.url();
        match url.scheme() {
            "s3" => Ok(Some(self.bucket.get_or_try_init(|| Bucket::of(url)).await?)),
            _ => Ok(None),
        }
    }
}

impl Bucket {
    async fn of(location: &Url) -> Result<Self, LakeError> {
        let name = location.host_str().unwrap_or_default();
        let failed = |source| of_store(name, source);
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(name);
        for (key, value) in store_options() {
            if let Ok(key) = key.parse() {
                builder = builder.with_config(key, value);
            }
        }
        let known = |key: AmazonS3ConfigKey| builder.get_config_value(&key);
        let region = known(AmazonS3ConfigKey::Region).unwrap_or_else(|| "us-east-1".to_owned());
        let virtual_hosted =
            known(AmazonS3ConfigKey::VirtualHostedStyleRequest).is_some_and(|it| it == "true");
        let endpoint = known(AmazonS3ConfigKey::S3Endpoint);
        let url = match endpoint.or_else(|| known(AmazonS3ConfigKey::Endpoint)) {
            Some(endpoint) if virtual_hosted => endpoint,
            Some(endpoint) => format!("{}/{name}", endpoint.trim_end_matches('/')),
            None => format!("https://s3.{region}.amazonaws.com/{name}"),
        };
        let url = Url::parse(&url).map_err(|error| LakeError::Unreadable {
            path: name.to_owned(),
            reason: error.to_string(),
        })?;
        let options =
            ClientOptions::new().with_allow_http(url.scheme() == "http").with_timeout(PATIENCE);
        if let Some(keys) = StoreKeys::of_the_sdk().await {
            builder = builder.with_credentials(Arc::new(keys));
        }
        let http = ReqwestConnector::default().connect(&options).map_err(failed)?;
        let s3 = builder.build().map_err(failed)?;
        Ok(Self { http, s3, region, url })
    }

    /// Asks about the bucket.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        what: &str,
        query: &[(&str, &str)],
    ) -> Result<Result<T, Refused>, LakeError> {
        let mut url = self.url.clone();
        {
            let mut pairs = url.query_pairs_mut();
            pairs.append_pair(what, "");
            pairs.extend_pairs(query.iter().filter(|(_, value)| !value.is_empty()));
        }
        let (status, body) = self.send(Method::GET, &url).await?;
        if status != 200 {
            return Ok(Err(Refused(status)));
        }
        let text = String::from_utf8_lossy(&body);
        let unreadable = |error: quick_xml::DeError| LakeError::Unreadable {
            path: what.to_owned(),
            reason: format!("the store's answer: {error}"),
        };
        quick_xml::de::from_str(&text).map(Ok).map_err(unreadable)
    }

    /// Removes a part of what it keeps of an object; what is gone is no error.
    pub(super) async fn remove(
        &self,
        key: &str,
        what: &str,
        id: &str,
    ) -> Result<Result<(), Refused>, LakeError> {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/{}", url.path().trim_end_matches('/'), escaped(key)));
        url.query_pairs_mut().append_pair(what, id);
        match self.send(Method::DELETE, &url).await? {
            (200..=299 | 404, _) => Ok(Ok(())),
            (status, _) if passes(status) => Err(LakeError::Unreadable {
                path: key.to_owned(),
                reason: format!("the store answers {status} to the removal of what it keeps of it"),
            }),
            (status, _) => Ok(Err(Refused(status))),
        }
    }

    /// Asks again where an answer is one of a moment.
    async fn send(&self, method: Method, url: &Url) -> Result<(u16, Vec<u8>), LakeError> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.send_once(method.clone(), url).await {
                Ok((status, _)) if passes(status) && pause < LONGEST_PAUSE => {}
                Err(_) if pause < LONGEST_PAUSE => {}
                outcome => return outcome,
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    async fn send_once(&self, method: Method, url: &Url) -> Result<(u16, Vec<u8>), LakeError> {
        let unsent = |reason: String| LakeError::Unreadable { path: String::new(), reason };
        let request = Request::builder().method(method).uri(url.as_str());
        let mut request: HttpRequest =
            request.body(HttpRequestBody::empty()).map_err(|error| unsent(error.to_string()))?;
        let credential = self.s3.credentials().get_credential().await;
        let credential = credential.map_err(|error| of_store("", error))?;
        AwsAuthorizer::new(&credential, "s3", &self.region).authorize(&mut request, None);
        let answer = self.http.execute(request).await;
        let answer = answer.map_err(|error| unsent(error.to_string()))?;
        let status = answer.status().as_u16();
        let body = answer.into_body().bytes().await;
        Ok((status, body.map_err(|error| unsent(error.to_string()))?.to_vec()))
    }
}

/// Whether an answer is one of a moment.
fn passes(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// A key as it is signed: everything but unreserved characters and slashes is escaped.
fn escaped(key: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    key.bytes().map(byte).collect()
}

fn of_store(path: &str, source: StoreError) -> LakeError {
    LakeError::Object { path: path.to_owned(), source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_escaped_as_they_are_signed() {
        assert_eq!(escaped("a/b c+ü~.x"), "a/b%20c%2B%C3%BC~.x");
    }
}
