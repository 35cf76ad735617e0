//! Calls of `/v1/promotions`.

use std::time::Duration;

use futures::{Stream, TryStreamExt};
use reqwest::Method;
use stedi_openapi::{PromotionInfo, PromotionList, PromotionQuery, PromotionRequest};
use uuid::Uuid;

use crate::error::ClientError;
use crate::events::events;
use crate::server::Server;

impl Server {
    /// Asks for a run that brings derived tables up to date (`POST /v1/promotions`). A request whose
    /// answer is lost is repeated under the same key, so that there is one run.
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn promote(&self, request: &PromotionRequest) -> Result<PromotionInfo, ClientError> {
        let key = Uuid::new_v4().to_string();
        self.again(|| {
            let request = self.request(Method::POST, &["v1", "promotions"]).json(request);
            request.header("idempotency-key", &key)
        })
        .await
    }

    /// A run (`GET /v1/promotions/{id}`).
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn promotion(&self, id: &str) -> Result<PromotionInfo, ClientError> {
        self.again(|| self.request(Method::GET, &["v1", "promotions", id])).await
    }

    /// A page of runs, newest first (`GET /v1/promotions`).
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn promotions(&self, page: &PromotionQuery) -> Result<PromotionList, ClientError> {
        self.again(|| self.request(Method::GET, &["v1", "promotions"]).query(page)).await
    }

    /// Stops a run (`POST /v1/promotions/{id}/cancel`).
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn cancel_promotion(&self, id: &str) -> Result<PromotionInfo, ClientError> {
        self.again(|| self.request(Method::POST, &["v1", "promotions", id, "cancel"])).await
    }

    /// A run, again whenever something of it is new, until it has ended
    /// (`GET /v1/promotions/{id}/events`). A stream that ends before has broken off.
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn promotion_events(
        &self,
        id: &str,
    ) -> Result<impl Stream<Item = Result<PromotionInfo, ClientError>> + use<>, ClientError> {
        let path = ["v1", "promotions", id, "events"];
        let request = self.request(Method::GET, &path).timeout(Duration::MAX);
        let answer = self.sent(request).await?;
        let server = self.clone();
        let failed = move |error| server.no_answer(error);
        Ok(Box::pin(events(Box::pin(answer.bytes_stream().map_ok(Vec::from)), failed)))
    }
}
