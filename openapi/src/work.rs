//! Long work: what all kinds of it have in common.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problem::Problem;

/// Long work, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Work<P: ToSchema> {
    /// Its id; ids of later work are greater.
    #[schema(example = "019a2b5b7ca17062b72e8422f58a8160")]
    pub id: String,
    /// How far it is. `failed` if a part of it failed.
    pub state: WorkState,
    /// Who asked: a token's `sub`, or `service`.
    pub principal: String,
    /// The request with which they asked.
    pub request_id: Option<String>,
    /// When, in epoch milliseconds.
    pub created: i64,
    /// When it began, in epoch milliseconds.
    pub started: Option<i64>,
    /// When it ended, in epoch milliseconds.
    pub finished: Option<i64>,
    /// Servers that took it on so far: more than one where one ended before the work did.
    pub attempts: u32,
    /// What its kind says besides.
    #[serde(flatten)]
    pub what: P,
    /// Why it failed as a whole.
    pub error: Option<Problem>,
}

/// How far long work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum WorkState {
    /// It waits.
    Queued,
    /// It runs.
    Running,
    /// It is done.
    Succeeded,
    /// It failed; `error` says why.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
}

impl WorkState {
    /// Whether nothing more will happen.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A server-sent event (WHATWG HTML, section 9.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkEvent {
    /// What the work is: `promotion`, `import`, `maintenance`, `revocation` or `erasure`.
    #[schema(example = "promotion")]
    pub event: String,
    /// The work as JSON, as its resource gives it.
    pub data: String,
}
