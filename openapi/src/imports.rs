//! `/v1/landing/{table}/imports`: files that lie somewhere are loaded.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::problem::Problem;
use crate::work::Work;

/// What to import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    /// A folder of the server, or `s3://bucket/prefix`, that the server's configuration allows. All
    /// files below it that were not loaded before are loaded, in the order of their names.
    #[schema(example = "s3://stedi-incoming/step_trainer/")]
    pub source: String,
}

/// An import.
pub type ImportInfo = Work<ImportRun>;

/// What an import says besides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportRun {
    /// The landing table.
    #[schema(example = "step_trainer_landing")]
    pub table: String,
    /// Where the files are.
    pub source: String,
    /// Files below the source.
    pub files: u64,
    /// Files that were looked at so far, those that were skipped and that failed among them.
    pub files_done: u64,
    /// Files that were not read: they were loaded before, and did not change.
    pub files_skipped: u64,
    /// The last of those that were looked at.
    pub last: Option<String>,
    /// Records of all files that were read.
    pub received: u64,
    /// Records that were loaded.
    pub accepted: u64,
    /// Records that are kept aside with the reason.
    pub rejected: u64,
    /// Records of contents that were loaded before.
    pub duplicate: u64,
    /// Records of erased customers.
    pub suppressed: u64,
    /// The table's version after the last load.
    pub version: Option<u64>,
    /// Revocations that were opened because the records ended a consent.
    #[serde(default)]
    pub revocations: Vec<String>,
    /// Files that could not be loaded, at most 100 of them.
    pub failures: Vec<ImportFailure>,
}

/// A file that could not be loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportFailure {
    /// The file, below the source.
    pub file: String,
    /// Why.
    pub error: Problem,
}

/// The path of an import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct ImportPath {
    /// The landing table.
    #[param(example = "step_trainer_landing")]
    pub table: String,
    /// Its id.
    #[param(example = "019a2b5b7ca17062b72e8422f58a8160")]
    pub id: String,
}
