//! Calls of `/v1/audit`.

use std::time::Duration;

use reqwest::Method;
use stedi_openapi::{AuditPage, AuditQuery, AuditReport};

use crate::error::ClientError;
use crate::server::Server;

/// How long the walk along all records may take.
const WALK: Duration = Duration::from_secs(600);

impl Server {
    /// A page of audit records, newest first (`GET /v1/audit`).
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn audit(&self, query: &AuditQuery) -> Result<AuditPage, ClientError> {
        self.again(|| self.request(Method::GET, &["v1", "audit"]).query(query)).await
    }

    /// Whether the records are whole (`GET /v1/audit/verify`).
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn verify_audit(&self) -> Result<AuditReport, ClientError> {
        self.again(|| self.request(Method::GET, &["v1", "audit", "verify"]).timeout(WALK)).await
    }
}
