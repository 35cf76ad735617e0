//! Calls of `/v1/revocations` and `/v1/erasures`.

use reqwest::Method;
use stedi_openapi::{
    ErasureList, RevocationInfo, RevocationList, RevocationQuery, RevocationRequest,
};
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

    /// A page of erasures, newest first (`GET /v1/erasures`).
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn erasures(&self, page: &RevocationQuery) -> Result<ErasureList, ClientError> {
        self.again(|| self.request(Method::GET, &["v1", "erasures"]).query(page)).await
    }

    /// The bytes of a revocation's proof (`GET /v1/revocations/{id}/certificate`), for
    /// [`crate::CertificateKey::verify`].
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn revocation_certificate(&self, id: &str) -> Result<Vec<u8>, ClientError> {
        self.bytes(&["v1", "revocations", id, "certificate"]).await
    }

    /// The bytes of an erasure's proof (`GET /v1/erasures/{id}/certificate`).
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn erasure_certificate(&self, id: &str) -> Result<Vec<u8>, ClientError> {
        self.bytes(&["v1", "erasures", id, "certificate"]).await
    }

    /// The service's public key as PEM (`GET /v1/certificates/key`), for
    /// [`crate::CertificateKey::parse`].
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn certificate_key(&self) -> Result<String, ClientError> {
        let bytes = self.bytes(&["v1", "certificates", "key"]).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    async fn bytes(&self, path: &[&str]) -> Result<Vec<u8>, ClientError> {
        let answer = self.sent_again(|| self.request(Method::GET, path)).await?;
        let bytes = answer.bytes().await.map_err(|error| self.no_answer(error))?;
        Ok(bytes.into())
    }
}
