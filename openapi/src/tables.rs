//! The answers of `/v1/tables`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The variable of `/v1/tables/{table}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct TablePath {
    /// Name of the table.
    #[param(example = "machine_learning_curated")]
    pub table: String,
}

/// The tables of the lake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TableList {
    /// The tables that are there for the caller: landing first, derived ones behind what they
    /// read.
    pub tables: Vec<TableInfo>,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TableInfo {
    /// Its name, unique in the lake.
    #[schema(example = "machine_learning_curated")]
    pub name: String,
    /// `landing`, `trusted` or `curated`.
    #[schema(example = "curated")]
    pub zone: String,
    /// What its rows are, where the pipeline says it.
    #[schema(example = "customers whose latest record has a research consent")]
    pub description: Option<String>,
    /// The columns that are there for the caller.
    pub columns: Vec<ColumnInfo>,
    /// The newest Delta version.
    #[schema(example = 7)]
    pub version: u64,
    /// When that version was made, in epoch milliseconds; `null` where its commit is cleaned up.
    #[schema(example = 1655564444103_i64)]
    pub timestamp: Option<i64>,
    /// The same moment (RFC 3339).
    #[schema(example = "2022-06-18T15:00:44.103Z")]
    pub time: Option<String>,
    /// Rows of that version.
    #[schema(example = 40981)]
    pub rows: u64,
    /// Its data files.
    #[schema(example = 3)]
    pub files: u64,
    /// Bytes of its data files.
    #[schema(example = 1250337)]
    pub bytes: u64,
    /// For a derived table the version of each source that it was last made from, as far as the
    /// source is there for the caller.
    #[schema(example = json!({ "step_trainer_trusted": 4, "accelerometer_trusted": 5 }))]
    pub sources: BTreeMap<String, u64>,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ColumnInfo {
    /// Its name, in lower case.
    #[schema(example = "sensorreadingtime")]
    pub name: String,
    /// Its SQL type.
    #[serde(rename = "type")]
    #[schema(example = "BIGINT")]
    pub kind: String,
    /// What it reveals: `plain`, `pseudonym` or `pii`.
    #[schema(example = "plain")]
    pub class: String,
}
