//! `/v1/sql` and `/v1/limits`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A statement with values for its placeholders.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SqlRequest {
    /// One SELECT, or EXPLAIN of one. `$1`, `$2`, … (or `?`) stand for values. After a table name
    /// `VERSION AS OF 3` or `TIMESTAMP AS OF '2026-01-31T12:00:00Z'` asks for its state then.
    #[schema(example = "SELECT count(*) AS readings FROM machine_learning_curated WHERE x > $1")]
    pub sql: String,
    /// The values, in order: null, booleans, numbers, texts, or lists of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!([0.5]))]
    pub parameters: Vec<serde_json::Value>,
}

/// A result as one JSON document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SqlResult {
    /// The columns.
    pub columns: Vec<ResultColumn>,
    /// The rows, each a value for each column. Numbers are numbers, also beyond 2^53; a float that
    /// is not finite is null; times are texts; binary values are hexadecimal texts.
    #[schema(value_type = Vec<Vec<serde_json::Value>>)]
    pub rows: Vec<Vec<serde_json::Value>>,
    /// How many rows there are.
    pub row_count: u64,
}

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResultColumn {
    /// Its name; where the statement gives two the same, the second one ends in `_2`.
    #[schema(example = "readings")]
    pub name: String,
    /// Its SQL type.
    #[serde(rename = "type")]
    #[schema(example = "BIGINT")]
    pub kind: String,
}

/// What statements of the caller may take, and what is going on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Limits {
    /// Bytes of a statement's text.
    pub statement_bytes: u64,
    /// Levels of parentheses in it.
    pub nesting: u64,
    /// Operators, joins and set operations that may follow each other.
    pub chain: u64,
    /// Seconds of a statement at `/v1/sql`, the reading of its result included.
    pub seconds: u64,
    /// Seconds of a statement at `/v1/statements`.
    pub async_seconds: u64,
    /// Rows of a result.
    pub rows: u64,
    /// Bytes of a result, before HTTP compresses them.
    pub bytes: u64,
    /// Bytes of memory that a statement's plan may hold.
    pub memory_bytes: u64,
    /// Statements of the role that run at once.
    pub statements_at_once: u64,
    /// Statements of all roles that may wait for their turn.
    pub queued: u64,
    /// Seconds that a statement waits for its turn.
    pub queue_seconds: u64,
    /// Statements that run now.
    pub running_now: u64,
    /// Statements that wait now.
    pub queued_now: u64,
}
