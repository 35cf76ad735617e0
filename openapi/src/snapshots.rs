//! `/v1/snapshots`: tables as they were at one moment, for training.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What [`Manifest::format`] says so far.
pub const SNAPSHOT_FORMAT: &str = "stedi-snapshot/1";

/// What is to be kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SnapshotRequest {
    /// A name for it, which no other snapshot has: letters, digits, `.`, `_` and `-`, up to 64, not
    /// `latest`, and not like an id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "gait-2026-11")]
    pub name: Option<String>,
    /// Its tables; without them those that the pipeline declares for snapshots.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["machine_learning_curated"]))]
    pub tables: Vec<String>,
}

/// The variable of `/v1/snapshots/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct SnapshotPath {
    /// Its id, its name, or `latest`.
    #[param(example = "latest")]
    pub id: String,
}

/// The variables of `/v1/snapshots/{id}/files/{sha256}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct SnapshotFilePath {
    /// The snapshot's id, its name, or `latest`.
    #[param(example = "latest")]
    pub id: String,
    /// The file's digest, as the manifest has it.
    #[param(example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    pub sha256: String,
}

/// How a file is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SnapshotFileQuery {
    /// With `1` the answer is a redirect to the store, where the store can and the server may.
    pub redirect: Option<u8>,
}

/// Which rows of a snapshot are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SnapshotDataQuery {
    /// The table; only where the snapshot has several.
    pub table: Option<String>,
    /// Columns, separated by commas; all without it.
    #[param(example = "x,y,z,distancefromobject")]
    pub columns: Option<String>,
    /// A condition on a row, as in SQL.
    #[serde(rename = "where")]
    #[param(example = "distancefromobject > 10")]
    pub condition: Option<String>,
    /// `train`, `validation` or `test`, or whatever the pipeline calls its splits.
    #[param(example = "train")]
    pub split: Option<String>,
    /// `i/n`: the i-th of n parts (from 0), which together have every row once and are about equal.
    #[param(example = "0/4")]
    pub shard: Option<String>,
}

/// Which snapshots are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SnapshotQuery {
    /// At most so many.
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub limit: Option<u64>,
    /// Only those behind this id, which is `next` of the page before.
    pub before: Option<String>,
}

/// A page of snapshots, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SnapshotList {
    /// Those whose tables are all there for the caller.
    pub snapshots: Vec<SnapshotInfo>,
    /// `before` of the next page; `null` on the last.
    pub next: Option<String>,
}

/// A snapshot in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SnapshotInfo {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: Option<String>,
    /// When it was made, in epoch milliseconds.
    pub created: i64,
    /// By whom: a token's `sub`, or `service`.
    pub created_by: String,
    /// Its successor, if it was redacted: what it had is not given any more.
    pub superseded_by: Option<String>,
    /// Its tables.
    pub tables: Vec<String>,
    /// Rows of all of them.
    pub rows: u64,
    /// Bytes of all of their files.
    pub bytes: u64,
}

/// A snapshot. Its `id` is the SHA-256, in hexadecimal, of its canonical form (RFC 8785) without `id`,
/// `name` and `superseded_by`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Manifest {
    /// Its id.
    #[schema(example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    pub id: String,
    /// Its name.
    #[schema(example = "gait-2026-11")]
    pub name: Option<String>,
    /// Its successor, if it was redacted.
    pub superseded_by: Option<String>,
    /// `stedi-snapshot/1`.
    #[schema(example = "stedi-snapshot/1")]
    pub format: String,
    /// When it was made, in epoch milliseconds.
    #[schema(example = 1655564444103_i64)]
    pub created: i64,
    /// By whom: a token's `sub`, or `service`.
    pub created_by: String,
    /// The snapshot that it is a redaction of.
    pub redacts: Option<String>,
    /// The digest of the pipeline that made the tables, in hexadecimal.
    pub pipeline: String,
    /// Options of the pipeline, such as from when on readings of those who consent count.
    #[schema(example = json!({ "readings": "all" }))]
    pub options: BTreeMap<String, String>,
    /// How rows are split, by the share of each; nobody is in two.
    #[schema(example = json!({ "train": 80, "validation": 10, "test": 10 }))]
    pub splits: BTreeMap<String, u32>,
    /// Its tables, by name.
    pub tables: Vec<SnapshotTable>,
}

/// A table of a snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SnapshotTable {
    /// Its name.
    #[schema(example = "machine_learning_curated")]
    pub table: String,
    /// The Delta version that it is of.
    #[schema(example = 7)]
    pub version: u64,
    /// Its rows.
    #[schema(example = 40981)]
    pub rows: u64,
    /// Its columns in their order. None is of the class `pii`.
    pub schema: Vec<SnapshotColumn>,
    /// The SELECT that made it.
    pub sql: Option<String>,
    /// The version of each source that it was made from.
    pub sources: BTreeMap<String, u64>,
    /// Rows of each split; none where its rows belong to nobody.
    #[schema(example = json!({ "train": 32000, "validation": 4400, "test": 4581 }))]
    pub splits: BTreeMap<String, u64>,
    /// Its files, by path.
    pub files: Vec<SnapshotFile>,
}

/// A column of a table of a snapshot, and what its values are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SnapshotColumn {
    /// Its name, in lower case.
    #[schema(example = "x")]
    pub name: String,
    /// Its SQL type.
    #[serde(rename = "type")]
    #[schema(example = "DOUBLE")]
    pub kind: String,
    /// `plain` or `pseudonym`.
    #[schema(example = "plain")]
    pub class: String,
    /// Values that are null.
    #[schema(example = 0)]
    pub nulls: u64,
    /// The smallest value, of a plain column of numbers.
    #[schema(example = -3.5)]
    pub min: Option<f64>,
    /// The greatest value, of a plain column of numbers.
    #[schema(example = 4.0)]
    pub max: Option<f64>,
    /// The mean of its values, of a plain column of numbers.
    #[schema(example = 0.01)]
    pub mean: Option<f64>,
}

/// A Parquet file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SnapshotFile {
    /// Where it lies in the folder that a client pulls it into.
    #[schema(example = "machine_learning_curated/part-00000.parquet")]
    pub path: String,
    /// Its rows.
    #[schema(example = 40981)]
    pub rows: u64,
    /// Its bytes.
    #[schema(example = 1250337)]
    pub bytes: u64,
    /// Its digest, in hexadecimal.
    pub sha256: String,
}
