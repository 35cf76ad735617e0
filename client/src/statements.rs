//! Calls of `/v1/statements`.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::ACCEPT;
use stedi_openapi::{ChunkQuery, SqlRequest, StatementInfo};
use uuid::Uuid;

use crate::batches::Batches;
use crate::error::ClientError;
use crate::server::Server;
use crate::sql::ARROW;

impl Server {
    /// Begins a statement that runs by itself (`POST /v1/statements`). A request whose answer is lost is
    /// repeated under the same key, so that there is one statement.
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn begin_statement(
        &self,
        request: &SqlRequest,
    ) -> Result<StatementInfo, ClientError> {
        let key = Uuid::new_v4().to_string();
        self.again(|| {
            let request = self.request(Method::POST, &["v1", "statements"]).json(request);
            request.header("idempotency-key", &key)
        })
        .await
    }

    /// A statement (`GET /v1/statements/{id}`).
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn statement(&self, id: &str) -> Result<StatementInfo, ClientError> {
        self.again(|| self.request(Method::GET, &["v1", "statements", id])).await
    }

    /// A part of a statement's result as record batches (`GET /v1/statements/{id}/result`). It is asked
    /// for again only while nothing of it has come.
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn statement_batches(&self, id: &str, chunk: u32) -> Result<Batches, ClientError> {
        let path = ["v1", "statements", id, "result"];
        let query = ChunkQuery { chunk };
        let answer = self.sent_again(|| {
            let request = self.request(Method::GET, &path).query(&query).header(ACCEPT, ARROW);
            request.timeout(Duration::MAX)
        });
        self.batches(answer.await?).await
    }

    /// Stops a statement (`POST /v1/statements/{id}/cancel`).
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn cancel_statement(&self, id: &str) -> Result<StatementInfo, ClientError> {
        self.again(|| self.request(Method::POST, &["v1", "statements", id, "cancel"])).await
    }
}
