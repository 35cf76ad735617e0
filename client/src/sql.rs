//! Calls of `/v1/sql` and `/v1/limits`.

use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use reqwest::header::ACCEPT;
use reqwest::{Method, Response};
use stedi_openapi::{Limits, SqlRequest, SqlResult};

use crate::batches::Batches;
use crate::error::ClientError;
use crate::server::Server;

/// An Arrow IPC stream.
pub(crate) const ARROW: &str = "application/vnd.apache.arrow.stream";

impl Server {
    /// The result of a statement as one document (`POST /v1/sql`). It is not asked again by itself, and
    /// has no limit of time but the server's.
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn sql(&self, request: &SqlRequest) -> Result<SqlResult, ClientError> {
        let answer = self.sql_answer(request, "application/json").await?;
        answer.json().await.map_err(|error| self.no_answer(error))
    }

    /// The result of a statement as record batches, as they come (`POST /v1/sql`).
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn sql_batches(&self, request: &SqlRequest) -> Result<Batches, ClientError> {
        let answer = self.sql_answer(request, ARROW).await?;
        self.batches(answer).await
    }

    /// The result of a statement in a format of the caller's (`POST /v1/sql`), as its bytes come.
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn sql_bytes(
        &self,
        request: &SqlRequest,
        accept: &str,
    ) -> Result<impl Stream<Item = Result<Bytes, ClientError>> + use<>, ClientError> {
        let answer = self.sql_answer(request, accept).await?;
        Ok(self.body(answer))
    }

    /// What statements of the token's owner may take (`GET /v1/limits`).
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn limits(&self) -> Result<Limits, ClientError> {
        self.again(|| self.request(Method::GET, &["v1", "limits"])).await
    }

    async fn sql_answer(
        &self,
        request: &SqlRequest,
        accept: &str,
    ) -> Result<Response, ClientError> {
        let sent = self.request(Method::POST, &["v1", "sql"]).timeout(Duration::MAX);
        self.sent(sent.header(ACCEPT, accept).json(request)).await
    }

    /// The bytes of an answer as they come.
    pub(crate) fn body(
        &self,
        answer: Response,
    ) -> impl Stream<Item = Result<Bytes, ClientError>> + Send + use<> {
        let server = self.clone();
        answer.bytes_stream().map_err(move |error| server.no_answer(error))
    }

    pub(crate) async fn batches(&self, answer: Response) -> Result<Batches, ClientError> {
        Batches::read(Box::pin(self.body(answer))).await
    }
}
