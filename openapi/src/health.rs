//! The answer of `/healthz` and `/readyz`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::VERSION;

/// Whether the server is alive, or ready for work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "status", rename_all = "lowercase")]
#[schema(example = json!({ "status": "ok", "version": "0.1.0" }))]
pub enum Health {
    /// It is.
    Ok {
        /// Revocations that are not done, though their deadline is over; said where there are any.
        #[serde(default, skip_serializing_if = "is_none")]
        overdue_revocations: u64,
        /// The server's version, with the revision behind `+` where its builder gave one.
        #[serde(default)]
        version: String,
    },
    /// Alive, but the lake does not answer.
    Unavailable,
}

impl Health {
    /// It is, in this build.
    pub fn ok(overdue_revocations: u64) -> Self {
        Self::Ok { overdue_revocations, version: VERSION.to_owned() }
    }
}

fn is_none(count: &u64) -> bool {
    *count == 0
}
