//! `/v1/statements`: statements that run by themselves.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::problem::Problem;
use crate::work::WorkState;

/// A statement that runs by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StatementInfo {
    /// Its id.
    #[schema(example = "019a2b5b7ca17062b72e8422f58a8160")]
    pub id: String,
    /// How far it is.
    pub state: WorkState,
    /// Its text.
    #[schema(example = "SELECT count(*) FROM machine_learning_curated")]
    pub sql: String,
    /// Who asked.
    pub principal: String,
    /// When, in epoch milliseconds.
    pub created: i64,
    /// When it began, in epoch milliseconds.
    pub started: Option<i64>,
    /// When it ended, in epoch milliseconds.
    pub finished: Option<i64>,
    /// Until when it and its result are kept, in epoch milliseconds.
    pub expires: i64,
    /// Rows of the result so far.
    pub row_count: u64,
    /// Parts of the result so far, to be read once it has succeeded.
    pub chunks: Vec<ChunkInfo>,
    /// The version of each table that it reads. Of a table at several moments, the newest.
    pub versions: BTreeMap<String, u64>,
    /// Why it failed.
    pub error: Option<Problem>,
}

/// A part of a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChunkInfo {
    /// Its number, from 0.
    pub chunk: u64,
    /// Rows before it.
    pub row_offset: u64,
    /// Its rows.
    pub row_count: u64,
    /// Bytes as it is kept.
    pub bytes: u64,
}

/// The path of a statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct StatementPath {
    /// Its id.
    #[param(example = "019a2b5b7ca17062b72e8422f58a8160")]
    pub id: String,
}

/// Which part of a result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ChunkQuery {
    /// Its number, from 0.
    #[serde(default)]
    #[param(example = 0)]
    pub chunk: u32,
}
