//! Calls of `/v1/maintenance`.

use reqwest::Method;
use stedi_openapi::{MaintenanceInfo, MaintenanceRequest};
use uuid::Uuid;

use crate::error::ClientError;
use crate::server::Server;

impl Server {
    /// Begins a maintenance of tables (`POST /v1/maintenance`). A request whose answer is lost is
    /// repeated under the same key, so that there is one.
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn maintain(
        &self,
        request: &MaintenanceRequest,
    ) -> Result<MaintenanceInfo, ClientError> {
        let key = Uuid::new_v4().to_string();
        self.again(|| {
            let request = self.request(Method::POST, &["v1", "maintenance"]).json(request);
            request.header("idempotency-key", &key)
        })
        .await
    }

    /// A maintenance (`GET /v1/maintenance/{id}`).
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn maintenance(&self, id: &str) -> Result<MaintenanceInfo, ClientError> {
        self.again(|| self.request(Method::GET, &["v1", "maintenance", id])).await
    }

    /// Stops a maintenance (`POST /v1/maintenance/{id}/cancel`).
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn cancel_maintenance(&self, id: &str) -> Result<MaintenanceInfo, ClientError> {
        self.again(|| self.request(Method::POST, &["v1", "maintenance", id, "cancel"])).await
    }
}
