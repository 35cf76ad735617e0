//! `GET /v1/tables/{table}/history`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which versions are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct HistoryQuery {
    /// At most so many versions.
    #[param(minimum = 1, maximum = 1000, default = 100, nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Only versions before this one: `next` of the page before.
    #[param(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
}

/// Versions of a table, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TableHistory {
    /// The table.
    #[schema(example = "machine_learning_curated")]
    pub table: String,
    /// The oldest version that there is history of; what was before is cleaned up.
    #[schema(example = 0)]
    pub first: u64,
    /// Newest first.
    pub versions: Vec<TableVersion>,
    /// `before` of the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = 6)]
    pub next: Option<u64>,
}

/// What one version changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TableVersion {
    /// The Delta version.
    #[schema(example = 7)]
    pub version: u64,
    /// When, in epoch milliseconds: what `TIMESTAMP AS OF` goes by.
    #[schema(example = 1655564444103_i64)]
    pub timestamp: i64,
    /// The same moment (RFC 3339).
    #[schema(example = "2022-06-18T15:00:44.103Z")]
    pub time: String,
    /// What was done: `create`, `load`, `revoke`, `promote`, `compact`, `purge`, `fence`, `erase`, or
    /// `other`.
    #[schema(example = "promote")]
    pub operation: String,
    /// How a derived table was brought up to date.
    #[schema(example = "rebuild")]
    pub mode: Option<String>,
    /// Why in this way.
    #[schema(example = "rows came")]
    pub why: Option<String>,
    /// On whose behalf; nobody's where the service did it by itself.
    #[schema(example = "ada")]
    pub who: Option<String>,
    /// The request with which they asked for it.
    #[schema(example = "0199b2f0-7d3a-7c11-9a53-5f0c6f2f7b11")]
    pub request_id: Option<String>,
    /// Rows that came in; `null` where the log does not say.
    #[schema(example = 40981)]
    pub rows_inserted: Option<u64>,
    /// Rows that went; `null` where the log does not say.
    #[schema(example = 40120)]
    pub rows_deleted: Option<u64>,
    /// Bytes of the data files that came in.
    #[schema(example = 1250337)]
    pub bytes_added: u64,
    /// Bytes of the data files that went.
    #[schema(example = 1240211)]
    pub bytes_removed: u64,
    /// For a derived table the version of each source that is included from here on, as far as the
    /// source is there for the caller.
    #[schema(example = json!({ "step_trainer_trusted": 4, "accelerometer_trusted": 5 }))]
    pub sources: BTreeMap<String, u64>,
}
