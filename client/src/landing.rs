//! Calls of `/v1/landing`.

use std::io::{self, Read};
use std::time::Duration;

use futures::Stream;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, Method};
use stedi_openapi::{ImportInfo, ImportRequest, LoadQuery, LoadResult};
use uuid::Uuid;

use crate::error::ClientError;
use crate::server::Server;

/// Bytes of one chunk of an upload.
const CHUNK: usize = 128 * 1024;

impl Server {
    /// Loads a content of JSON records into a landing table (`POST /v1/landing/{table}`), as it is
    /// read; `length` where it is known before. There is no limit of time. The same content under the
    /// same key gives the first answer again. It is not sent again by itself, since a reader gives its
    /// bytes once.
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

    /// Begins to load the files below a folder or prefix (`POST /v1/landing/{table}/imports`). A request
    /// whose answer is lost is repeated under the same key, so that there is one import.
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn import(
        &self,
        table: &str,
        request: &ImportRequest,
    ) -> Result<ImportInfo, ClientError> {
        let key = Uuid::new_v4().to_string();
        let path = ["v1", "landing", table, "imports"];
        self.again(|| {
            self.request(Method::POST, &path).json(request).header("idempotency-key", &key)
        })
        .await
    }

    /// An import (`GET /v1/landing/{table}/imports/{id}`).
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn import_info(&self, table: &str, id: &str) -> Result<ImportInfo, ClientError> {
        let path = ["v1", "landing", table, "imports", id];
        self.again(|| self.request(Method::GET, &path)).await
    }

    /// Stops an import (`POST /v1/landing/{table}/imports/{id}/cancel`).
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn cancel_import(&self, table: &str, id: &str) -> Result<ImportInfo, ClientError> {
        let path = ["v1", "landing", table, "imports", id, "cancel"];
        self.again(|| self.request(Method::POST, &path)).await
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
