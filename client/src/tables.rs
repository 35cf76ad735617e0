//! Calls of `/v1/tables`.

use reqwest::Method;
use stedi_openapi::{HistoryQuery, TableHistory, TableInfo, TableList};

use crate::error::ClientError;
use crate::server::Server;

impl Server {
    /// The tables that are there for the token's owner (`GET /v1/tables`).
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn tables(&self) -> Result<TableList, ClientError> {
        self.again(|| self.request(Method::GET, &["v1", "tables"])).await
    }

    /// A table (`GET /v1/tables/{table}`).
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn table(&self, table: &str) -> Result<TableInfo, ClientError> {
        self.again(|| self.request(Method::GET, &["v1", "tables", table])).await
    }

    /// A page of a table's versions, newest first (`GET /v1/tables/{table}/history`).
    ///
    /// # Errors
    /// If the server does not answer, or says why not.
    pub async fn history(
        &self,
        table: &str,
        page: &HistoryQuery,
    ) -> Result<TableHistory, ClientError> {
        let path = ["v1", "tables", table, "history"];
        self.again(|| self.request(Method::GET, &path).query(page)).await
    }
}
