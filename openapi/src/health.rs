//! The answer of `/healthz` and `/readyz`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whether the server is alive, or ready for work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "status", rename_all = "lowercase")]
#[schema(example = json!({ "status": "ok" }))]
pub enum Health {
    /// It is.
    Ok {
        /// Revocations that are not done, though their deadline is over; said where there are any.
        #[serde(default, skip_serializing_if = "is_none")]
        overdue_revocations: u64,
    },
    /// Alive, but the lake does not answer.
    Unavailable,
}

impl Health {
    /// It is, and nothing is overdue.
    pub const OK: Self = Self::Ok { overdue_revocations: 0 };
}

fn is_none(count: &u64) -> bool {
    *count == 0
}
