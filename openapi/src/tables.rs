//! The answers of `/v1/tables`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `GET /v1/tables`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableList {
    /// The tables that are there for the caller: landing first, derived ones behind what they
    /// read.
    pub tables: Vec<TableInfo>,
}

/// `GET /v1/tables/{table}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableInfo {
    /// Its name, unique in the lake.
    pub name: String,
    /// `landing`, `trusted` or `curated`.
    pub zone: String,
    /// The columns that are there for the caller.
    pub columns: Vec<ColumnInfo>,
    /// The newest Delta version.
    pub version: u64,
    /// Rows of that version.
    pub rows: u64,
    /// Bytes of its data files.
    pub bytes: u64,
    /// For a derived table the version of each source that it was last made from.
    pub sources: BTreeMap<String, u64>,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnInfo {
    /// Its name, in lower case.
    pub name: String,
    /// Its SQL type.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it reveals: `plain`, `pseudonym` or `pii`.
    pub class: String,
}
