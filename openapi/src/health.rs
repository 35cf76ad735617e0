//! The answer of `/healthz` and `/readyz`.

use serde::{Deserialize, Serialize};

/// Whether the server is alive, or ready for work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum Health {
    /// It is.
    Ok,
    /// Alive, but the lake does not answer.
    Unavailable,
}
