//! `/v1/maintenance`: tables are kept quick and small.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::problem::Problem;
use crate::work::Work;

/// Which tables to maintain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MaintenanceRequest {
    /// The tables; without it all, those of the service too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(["customer_trusted", "accelerometer_trusted"]))]
    pub tables: Option<Vec<String>>,
}

/// A maintenance of some tables.
pub type MaintenanceInfo = Work<MaintenanceRun>;

/// What a maintenance says besides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MaintenanceRun {
    /// Its tables, in the order in which they are maintained.
    pub tables: Vec<MaintainedTable>,
}

/// How far a table of a maintenance is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MaintainedState {
    /// It waits for those before it.
    #[default]
    Queued,
    /// It is maintained.
    Running,
    /// What was due is done.
    Done,
    /// Not all that was due is done; `why` says why. The next maintenance goes on.
    Skipped,
    /// It failed; `error` says why.
    Failed,
}

/// What was done with one table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MaintainedTable {
    /// The table.
    #[schema(example = "accelerometer_trusted")]
    pub table: String,
    /// How far it is.
    pub state: MaintainedState,
    /// Why not all that was due is done.
    pub why: Option<String>,
    /// The table's version afterwards.
    pub version: Option<u64>,
    /// The version of which a checkpoint was written.
    pub checkpoint: Option<u64>,
    /// Files that were rewritten as fewer ones.
    pub files_before: u64,
    /// Files in their place.
    pub files_after: u64,
    /// Bytes of the files that were rewritten.
    pub bytes_before: u64,
    /// Bytes of those in their place.
    pub bytes_after: u64,
    /// Commits that were removed from the log: nobody needs them any more.
    pub commits_removed: u64,
    /// Tables that were not promoted for so long that the log is kept for them.
    pub log_kept_for: Vec<String>,
    /// Files that were removed, as nothing referred to them.
    pub files_removed: u64,
    /// Their bytes.
    pub bytes_removed: u64,
    /// How long it took.
    pub millis: u64,
    /// Why it failed.
    pub error: Option<Problem>,
}

impl MaintainedTable {
    /// A table that waits.
    pub fn queued(table: &str) -> Self {
        Self { table: table.to_owned(), ..Self::default() }
    }

    /// Whether anything was done.
    pub fn changed(&self) -> bool {
        let counts = [self.files_before, self.commits_removed, self.files_removed];
        self.checkpoint.is_some() || counts.iter().any(|count| *count > 0)
    }
}

/// The path of a maintenance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct MaintenancePath {
    /// Its id.
    #[param(example = "019a2b5b7ca17062b72e8422f58a8160")]
    pub id: String,
}
