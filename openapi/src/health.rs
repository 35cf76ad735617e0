//! The answer of `/healthz` and `/readyz`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whether the server is alive, or ready for work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "status", rename_all = "lowercase")]
#[schema(example = json!({ "status": "ok" }))]
pub enum Health {
    /// It is.
    Ok,
    /// Alive, but the lake does not answer.
    Unavailable,
}
