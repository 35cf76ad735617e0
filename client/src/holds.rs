//! Calls of `/v1/legal-holds`.

use reqwest::Method;
use stedi_openapi::{LegalHold, LegalHoldList, LegalHoldRequest};

use crate::error::ClientError;
use crate::server::Server;

impl Server {
    /// Holds a customer's data (`POST /v1/legal-holds`). It takes no key, so it is not sent again.
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn hold(&self, request: &LegalHoldRequest) -> Result<LegalHold, ClientError> {
        self.answer(self.request(Method::POST, &["v1", "legal-holds"]).json(request)).await
    }

    /// All legal holds (`GET /v1/legal-holds`).
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn holds(&self) -> Result<LegalHoldList, ClientError> {
        self.again(|| self.request(Method::GET, &["v1", "legal-holds"])).await
    }

    /// Ends a legal hold (`DELETE /v1/legal-holds/{id}`).
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn release(&self, id: &str) -> Result<(), ClientError> {
        self.sent(self.request(Method::DELETE, &["v1", "legal-holds", id])).await.map(|_| ())
    }
}
