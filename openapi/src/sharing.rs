//! `/sharing`: the Delta Sharing protocol (its words, in its case).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// An error under `/sharing`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SharingError {
    /// The stable word that problems have as `code`.
    #[schema(example = "table_not_found")]
    pub error_code: String,
    /// What is wrong.
    pub message: String,
    /// The id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub request_id: Option<String>,
}

/// Which page of a list is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct SharingPage {
    /// At most so many; 500 without it, and at most.
    #[param(nullable = false)]
    pub max_results: Option<u32>,
    /// `nextPageToken` of the page before.
    #[param(nullable = false)]
    pub page_token: Option<String>,
}

/// The variable of `/sharing/shares/{share}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct SharePath {
    /// The share: the name of the pipeline, in any case.
    #[param(example = "stedi")]
    pub share: String,
}

/// The variables of a schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct SharedSchemaPath {
    /// The share.
    #[param(example = "stedi")]
    pub share: String,
    /// The schema: a zone.
    #[param(example = "curated")]
    pub schema: String,
}

/// The variables of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct SharedTablePath {
    /// The share.
    #[param(example = "stedi")]
    pub share: String,
    /// The schema: the table's zone.
    #[param(example = "curated")]
    pub schema: String,
    /// The table.
    #[param(example = "machine_learning_curated")]
    pub table: String,
}

/// The variable of a file's address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct SharedFilePath {
    /// What the server signed.
    pub token: String,
}

/// A share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Share {
    /// Its name.
    #[schema(example = "stedi")]
    pub name: String,
    /// The same as long as it is the same.
    #[schema(example = "stedi")]
    pub id: String,
}

/// The answer to a question for one share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OneShare {
    /// The share.
    pub share: Share,
}

/// A schema of a share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SharedSchema {
    /// Its name.
    #[schema(example = "curated")]
    pub name: String,
    /// Its share.
    #[schema(example = "stedi")]
    pub share: String,
}

/// A table of a share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SharedTable {
    /// Its name.
    #[schema(example = "machine_learning_curated")]
    pub name: String,
    /// Its schema.
    #[schema(example = "curated")]
    pub schema: String,
    /// Its share.
    #[schema(example = "stedi")]
    pub share: String,
    /// The id of its share.
    #[schema(example = "stedi")]
    pub share_id: String,
    /// The table's id in Delta.
    pub id: String,
}

/// A page of shares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShareList {
    /// The shares.
    pub items: Vec<Share>,
    /// `pageToken` of the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub next_page_token: Option<String>,
}

/// A page of schemas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SharedSchemaList {
    /// The schemas.
    pub items: Vec<SharedSchema>,
    /// `pageToken` of the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub next_page_token: Option<String>,
}

/// A page of tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SharedTableList {
    /// The tables.
    pub items: Vec<SharedTable>,
    /// `pageToken` of the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub next_page_token: Option<String>,
}

/// Since when a version is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct SharedVersionQuery {
    /// The earliest version at or after this time (RFC 3339, or `YYYY-MM-DD hh:mm:ss` in UTC).
    #[param(nullable = false)]
    pub starting_timestamp: Option<String>,
}

/// Which rows of a table are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, rename_all = "camelCase")]
pub struct SharedQuery {
    /// Conditions in SQL. They are not looked at: every file may hold rows that meet them.
    pub predicate_hints: Vec<String>,
    /// A condition in JSON. Files that hold no row which meets it are left out where that is known; others
    /// are answered, with all of their rows.
    pub json_predicate_hints: Option<String>,
    /// So many rows are enough: files that have as many are answered.
    pub limit_hint: Option<u64>,
    /// The table at this version.
    pub version: Option<u64>,
    /// The table at this time (RFC 3339, or `YYYY-MM-DD hh:mm:ss` in UTC).
    pub timestamp: Option<String>,
    /// Changes are asked for with `/changes`.
    pub starting_version: Option<u64>,
}

/// Which changes of a table are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct SharedChangesQuery {
    /// From this version on, that too.
    #[param(nullable = false)]
    pub starting_version: Option<u64>,
    /// From the first version at or after this time on.
    #[param(nullable = false)]
    pub starting_timestamp: Option<String>,
    /// Up to this version, that too.
    #[param(nullable = false)]
    pub ending_version: Option<u64>,
    /// Up to the last version at or before this time.
    #[param(nullable = false)]
    pub ending_timestamp: Option<String>,
}

/// A line of an answer: an object with one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum SharedLine {
    /// What a client must know; first.
    Protocol(SharedProtocol),
    /// What the table is; second.
    MetaData(SharedMetadata),
    /// A file of the table.
    File(SharedFile),
    /// A file whose rows came.
    Add(SharedFile),
    /// A file of changes: its rows say what became of them.
    Cdf(SharedFile),
    /// A file whose rows went.
    Remove(SharedFile),
}

/// What a client must know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SharedProtocol {
    /// Always 1.
    #[schema(example = 1)]
    pub min_reader_version: u32,
}

/// How files are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SharedFormat {
    /// `parquet`.
    #[schema(example = "parquet")]
    pub provider: String,
}

/// What a table is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SharedMetadata {
    /// The table's id in Delta.
    pub id: String,
    /// Its name.
    #[schema(example = "machine_learning_curated")]
    pub name: String,
    /// What its rows are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub description: Option<String>,
    /// How its files are written.
    pub format: SharedFormat,
    /// Its columns, as JSON text (Delta protocol, "Schema Serialization Format").
    pub schema_string: String,
    /// None.
    pub partition_columns: Vec<String>,
    /// Whether changes can be had.
    #[schema(example = json!({ "enableChangeDataFeed": "true" }))]
    pub configuration: BTreeMap<String, String>,
    /// The version that this is of.
    pub version: u64,
    /// How many files it has.
    pub num_files: u64,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SharedFile {
    /// Where its bytes are until `expirationTimestamp`; they are fetched without a token.
    pub url: String,
    /// The same for the same file.
    pub id: String,
    /// None.
    pub partition_values: BTreeMap<String, String>,
    /// Its bytes.
    #[schema(example = 1250337)]
    pub size: u64,
    /// How many rows it has, as JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "{\"numRecords\":40981}")]
    pub stats: Option<String>,
    /// The version that it is of.
    pub version: u64,
    /// When that version was made, in epoch milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub timestamp: Option<i64>,
    /// Until when its URL holds, in epoch milliseconds.
    pub expiration_timestamp: i64,
}
