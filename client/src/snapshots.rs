//! Calls of `/v1/snapshots`.

use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_RANGE, ETAG, HeaderMap, HeaderName, IF_RANGE, RANGE,
};
use reqwest::{Method, Response, StatusCode};
use serde_json::Value;
use stedi_openapi::{
    Manifest, SnapshotDataQuery, SnapshotInfo, SnapshotList, SnapshotQuery, SnapshotRequest,
};
use uuid::Uuid;

use crate::batches::Batches;
use crate::error::ClientError;
use crate::server::Server;
use crate::sql::ARROW;

/// How long a snapshot may take to be made, whose sums may not be known yet.
const MAKING: Duration = Duration::from_secs(600);
/// How long a manifest may take to come.
const READING: Duration = Duration::from_secs(60);

/// Which bytes of a file are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRange {
    /// The first one, from 0.
    pub start: u64,
    /// Behind the last one.
    pub end: u64,
    /// The strong `ETag` of what is there already: the server gives the whole file if it has another
    /// one now (`If-Range`).
    pub etag: Option<String>,
}

/// Bytes of a file, as they come.
#[derive(Debug)]
pub struct FileBody {
    /// The file's strong `ETag`.
    pub etag: Option<String>,
    /// Whether they are those that were asked for; else they are the whole file.
    pub partial: bool,
    /// The first byte that comes.
    pub start: u64,
    /// Behind the last one that comes, where the server says so.
    pub end: Option<u64>,
    server: Server,
    answer: Response,
}

impl FileBody {
    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// [`ClientError::NoAnswer`] if the answer breaks off, [`ClientError::Stalled`] if nothing comes for
    /// so long.
    pub async fn chunk(&mut self, patience: Duration) -> Result<Option<Bytes>, ClientError> {
        match tokio::time::timeout(patience, self.answer.chunk()).await {
            Ok(chunk) => chunk.map_err(|error| self.server.no_answer(error)),
            Err(_) => Err(ClientError::Stalled(patience)),
        }
    }
}

impl Server {
    /// Keeps tables as they are now (`POST /v1/snapshots`). A request whose answer is lost is repeated
    /// under the same key, so that there is one snapshot.
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn create_snapshot(
        &self,
        request: &SnapshotRequest,
    ) -> Result<Manifest, ClientError> {
        let key = Uuid::new_v4().to_string();
        self.again(|| {
            let request = self.request(Method::POST, &["v1", "snapshots"]).json(request);
            request.header("idempotency-key", &key).timeout(MAKING)
        })
        .await
    }

    /// A page of snapshots, newest first (`GET /v1/snapshots`).
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn snapshots(&self, page: &SnapshotQuery) -> Result<SnapshotList, ClientError> {
        self.again(|| self.request(Method::GET, &["v1", "snapshots"]).query(page)).await
    }

    /// The manifest of a snapshot (`GET /v1/snapshots/{id}`), by id, name, or `latest`.
    ///
    /// # Errors
    /// If the server does not answer, or says why not; of a snapshot that was redacted the problem names
    /// the successor.
    pub async fn snapshot(&self, id: &str) -> Result<Manifest, ClientError> {
        self.again(|| self.snapshot_request(&[id])).await
    }

    /// The same as the server sent it, which is what the id is the digest of
    /// ([`crate::manifest_id`]): a newer server may say more than [`Manifest`] knows.
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn snapshot_document(&self, id: &str) -> Result<Value, ClientError> {
        self.again(|| self.snapshot_request(&[id])).await
    }

    /// Bytes of a snapshot's file (`GET /v1/snapshots/{id}/files/{sha256}`); all of them without a range,
    /// and where the server does not take one. It is not asked again by itself.
    ///
    /// # Errors
    /// If the server does not answer within `patience`, says why not, or answers with other bytes.
    pub async fn snapshot_file(
        &self,
        id: &str,
        sha256: &str,
        range: Option<&FileRange>,
        patience: Duration,
    ) -> Result<FileBody, ClientError> {
        let request = self.snapshot_request(&[id, "files", sha256]).timeout(Duration::MAX);
        let mut request = request.header(ACCEPT_ENCODING, "identity");
        if let Some(range) = range {
            request = request.header(RANGE, format!("bytes={}-{}", range.start, range.end - 1));
            if let Some(etag) = &range.etag {
                request = request.header(IF_RANGE, etag);
            }
        }
        let sent = tokio::time::timeout(patience, self.sent(request)).await;
        let answer = sent.map_err(|_| ClientError::Stalled(patience))??;
        let etag = header(answer.headers(), ETAG)
            .filter(|etag| !etag.starts_with("W/"))
            .map(str::to_owned);
        let partial = answer.status() == StatusCode::PARTIAL_CONTENT;
        let (start, end) = match range.filter(|_| partial) {
            Some(range) => {
                let given = header(answer.headers(), CONTENT_RANGE).map(str::to_owned);
                match given.as_deref().and_then(content_range) {
                    Some((start, end)) if start == range.start && end <= range.end => {
                        (start, Some(end))
                    }
                    _ => {
                        let asked = format!("{} to {}", range.start, range.end - 1);
                        let given = given.unwrap_or_else(|| "no range".to_owned());
                        return Err(ClientError::Range { asked, given });
                    }
                }
            }
            None => (0, answer.content_length()),
        };
        Ok(FileBody { etag, partial, start, end, server: self.clone(), answer })
    }

    /// Rows of a snapshot as record batches, as they come (`GET /v1/snapshots/{id}/data`). They are asked
    /// for again only while nothing of them has come.
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn snapshot_data(
        &self,
        id: &str,
        query: &SnapshotDataQuery,
    ) -> Result<Batches, ClientError> {
        let answer = self.snapshot_rows(id, query).await?;
        self.batches(answer).await
    }

    /// The same as the bytes of an Arrow stream, as they come.
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn snapshot_data_bytes(
        &self,
        id: &str,
        query: &SnapshotDataQuery,
    ) -> Result<impl Stream<Item = Result<Bytes, ClientError>> + use<>, ClientError> {
        Ok(self.body(self.snapshot_rows(id, query).await?))
    }

    async fn snapshot_rows(
        &self,
        id: &str,
        query: &SnapshotDataQuery,
    ) -> Result<Response, ClientError> {
        self.sent_again(|| {
            let request = self.snapshot_request(&[id, "data"]).query(query).header(ACCEPT, ARROW);
            request.timeout(Duration::MAX)
        })
        .await
    }

    /// A snapshot's description as Croissant JSON-LD (`GET /v1/snapshots/{id}/croissant`).
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn snapshot_croissant(&self, id: &str) -> Result<Value, ClientError> {
        self.again(|| self.snapshot_request(&[id, "croissant"])).await
    }

    /// Deletes a snapshot (`DELETE /v1/snapshots/{id}`). It is not asked again by itself: a name may be
    /// another snapshot's by then.
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn delete_snapshot(&self, id: &str) -> Result<SnapshotInfo, ClientError> {
        let request = self.request(Method::DELETE, &["v1", "snapshots", id]);
        self.answer(request.timeout(READING)).await
    }

    fn snapshot_request(&self, rest: &[&str]) -> reqwest::RequestBuilder {
        let path: Vec<&str> = ["v1", "snapshots"].iter().chain(rest).copied().collect();
        self.request(Method::GET, &path).timeout(READING)
    }
}

fn header(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// The first byte and the one behind the last of `bytes 0-9/10` (RFC 9110, section 14.4).
fn content_range(text: &str) -> Option<(u64, u64)> {
    let (range, _) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first <= last).then_some((first, last.checked_add(1)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_read() {
        assert_eq!(content_range("bytes 0-9/10"), Some((0, 10)));
        assert_eq!(content_range("bytes 5-5/*"), Some((5, 6)));
        for wrong in ["", "bytes */10", "bytes 9-0/10", "0-9/10", "bytes 0-9", "bytes a-b/c"] {
            assert_eq!(content_range(wrong), None, "{wrong}");
        }
        assert_eq!(content_range(&format!("bytes 0-{}/*", u64::MAX)), None);
    }
}
