//! Calls of `/v1/revocations` and `/v1/erasures`.

use reqwest::Method;
use stedi_openapi::{RevocationInfo, RevocationList, RevocationQuery, RevocationRequest};
use uuid::Uuid;

use crate::error::ClientError;
use crate::server::Server;

impl Server {
    /// Withdraws the consent of customers (`POST /v1/revocations`). A request whose answer is lost is
    /// repeated under the same key, so that there is one revocation.
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn revoke(&self, request: &RevocationRequest) -> Result<RevocationInfo, ClientError> {
        let key = Uuid::new_v4().to_string();
        self.again(|| {
            let request = self.request(Method::POST, &["v1", "revocations"]).json(request);
            request.header("idempotency-key", &key)
        })
        .await
    }

    /// Forgets customers (`POST /v1/erasures`), repeated like [`Server::revoke`].
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn erase(&self, request: &RevocationRequest) -> Result<RevocationInfo, ClientError> {
        let key = Uuid::new_v4().to_string();
        self.again(|| {
            let request = self.request(Method::POST, &["v1", "erasures"]).json(request);
            request.header("idempotency-key", &key)
        })
        .await
    }

    /// An erasure (`GET /v1/erasures/{id}`).
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn erasure(&self, id: &str) -> Result<RevocationInfo, ClientError> {
        self.again(|| self.request(Method::GET, &["v1", "erasures", id])).await
    }

    /// A revocation (`GET /v1/revocations/{id}`).
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn revocation(&self, id: &str) -> Result<RevocationInfo, ClientError> {
        self.again(|| self.request(Method::GET, &["v1", "revocations", id])).await
    }

    /// A page of revocations, newest first (`GET /v1/revocations`).
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn revocations(&self, page: &RevocationQuery) -> Result<RevocationList, ClientError> {
        self.again(|| self.request(Method::GET, &["v1", "revocations"]).query(page)).await
    }
}
