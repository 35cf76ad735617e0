//! `/v1/promotions`: runs that bring derived tables up to date.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::problem::Problem;
use crate::work::Work;

/// Which tables to bring up to date.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PromotionRequest {
    /// Derived tables; without it all. What a named table reads is taken as it is, unless it is
    /// named, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(["customer_trusted", "accelerometer_trusted"]))]
    pub tables: Option<Vec<String>>,
}

/// A run.
pub type PromotionInfo = Work<PromotionRun>;

/// What a run says besides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PromotionRun {
    /// What asked for it.
    pub cause: PromotionCause,
    /// Its tables, each behind those that it reads.
    pub tables: Vec<PromotedTable>,
}

/// What asked for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PromotionCause {
    /// A request.
    Request,
    /// The schedule.
    Schedule,
    /// A load.
    Load,
    /// A withdrawn consent.
    Consent,
}

impl PromotionCause {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Schedule => "schedule",
            Self::Load => "load",
            Self::Consent => "consent",
        }
    }
}

/// How far a table of a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TableState {
    /// It waits for those before it.
    Queued,
    /// It is brought up to date.
    Running,
    /// It is up to date.
    Succeeded,
    /// It stays as it was; `error` says why.
    Failed,
    /// It stays as it was, because of a table that it reads; `why` says which.
    Skipped,
    /// It stays as it was: the run was cancelled.
    Cancelled,
}

impl TableState {
    /// Whether nothing more will happen to it in this run.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// A table of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PromotedTable {
    /// The table.
    #[schema(example = "customer_trusted")]
    pub table: String,
    /// How far it is.
    pub state: TableState,
    /// How it was brought up to date: `nothing`, `append`, `subjects`, `rebuild` or `skipped`.
    #[schema(example = "append")]
    pub mode: Option<String>,
    /// Why so.
    #[schema(example = "rows came (customer_landing)")]
    pub why: Option<String>,
    /// Rows of sources that were taken in so far.
    pub rows_read: u64,
    /// Rows of data files that were written so far: those that came, and those that had to move.
    pub rows_written: u64,
    /// Rows that came into the table.
    pub rows_inserted: u64,
    /// Rows that went.
    pub rows_deleted: u64,
    /// The version of each source that the table is made from now.
    pub sources: BTreeMap<String, u64>,
    /// Its version afterwards.
    pub version: Option<u64>,
    /// How long it took so far, in milliseconds.
    pub millis: u64,
    /// What became of its quality rules.
    #[serde(default)]
    pub checks: Vec<CheckResult>,
    /// Why it failed.
    pub error: Option<Problem>,
}

impl PromotedTable {
    /// A table that waits.
    pub fn queued(table: &str) -> Self {
        Self {
            table: table.to_owned(),
            state: TableState::Queued,
            mode: None,
            why: None,
            rows_read: 0,
            rows_written: 0,
            rows_inserted: 0,
            rows_deleted: 0,
            sources: BTreeMap::new(),
            version: None,
            millis: 0,
            checks: Vec::new(),
            error: None,
        }
    }
}

/// What became of a quality rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckResult {
    /// The rule.
    #[schema(example = "distance is not negative")]
    pub rule: String,
    /// What a broken rule does: `warn` or `fail`.
    #[schema(example = "warn")]
    pub action: String,
    /// Whether it holds.
    pub holds: bool,
    /// Rows, or keys, that break it.
    pub broken: u64,
    /// Rows that were looked at.
    pub rows: u64,
}

/// A page of runs, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PromotionList {
    /// The runs.
    pub promotions: Vec<Work<PromotionRun>>,
    /// The `before` of the next page, if there is one.
    pub next: Option<String>,
}

/// The path of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct PromotionPath {
    /// Its id.
    #[param(example = "019a2b5b7ca17062b72e8422f58a8160")]
    pub id: String,
}

/// Which runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PromotionQuery {
    /// Runs of a page, 1 to 200; 20 without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(example = 20)]
    pub limit: Option<u64>,
    /// Only runs with a smaller id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(example = "019a2b5b7ca17062b72e8422f58a8160")]
    pub before: Option<String>,
}
