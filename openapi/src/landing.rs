//! `POST /v1/landing/{table}`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The variable of `/v1/landing/{table}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct LandingPath {
    /// Name of the landing table.
    #[param(example = "step_trainer_landing")]
    pub table: String,
}

/// What is said about an upload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct LoadQuery {
    /// What the content is called, for whoever looks for a rejected record later; at most 200
    /// characters.
    #[param(nullable = false, max_length = 200, example = "readings-1.json")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What became of the records of a load:
/// `received = accepted + rejected + duplicate + suppressed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LoadResult {
    /// The landing table.
    #[schema(example = "step_trainer_landing")]
    pub table: String,
    /// Records in the content.
    #[schema(example = 3)]
    pub received: u64,
    /// Records that are now rows of the table.
    #[schema(example = 2)]
    pub accepted: u64,
    /// Records that were kept aside in `<table>_rejected`.
    #[schema(example = 1)]
    pub rejected: u64,
    /// Records of content that was loaded before.
    #[schema(example = 0)]
    pub duplicate: u64,
    /// Records of erased customers, which are kept out.
    #[schema(example = 0)]
    pub suppressed: u64,
    /// Version of the table that holds the rows.
    #[schema(example = 4)]
    pub version: u64,
    /// The first rejected records, at most 100.
    #[schema(max_items = 100)]
    pub rejects: Vec<Reject>,
    /// Revocations that were opened because the load ended a consent.
    #[serde(default)]
    #[schema(example = json!([]))]
    pub revocations: Vec<String>,
    /// How often each field occurred that the table has no column for.
    #[schema(example = json!({ "firmware": 3 }))]
    pub unknown_fields: BTreeMap<String, u64>,
}

/// A record that could not be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reject {
    /// The line on which it begins; the first is 1.
    #[schema(example = 2)]
    pub line: u64,
    /// What is wrong, without repeating a value.
    #[schema(example = "cut off: the input ends inside this record")]
    pub reason: String,
}
