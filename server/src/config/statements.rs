//! Section `[statements]`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::{ConfigError, within};

/// How statements that run by themselves are kept and run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StatementsConfig {
    /// Seconds for which a statement and its result are kept in the lake.
    pub keep_seconds: u64,
    /// Statements that this server runs at once; each also needs a turn under `[limits]`.
    pub at_once: usize,
    /// Statements that may wait on this server; further ones are turned away.
    pub queued: usize,
    /// Seconds without a sign of life after which another server takes a statement over.
    pub lease_seconds: u64,
}

impl Default for StatementsConfig {
    fn default() -> Self {
        Self { keep_seconds: 24 * 3600, at_once: 2, queued: 100, lease_seconds: 15 }
    }
}

impl StatementsConfig {
    /// Whether the values make sense.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within("statements.keep_seconds", self.keep_seconds, 1, 1 << 32)?;
        within("statements.at_once", self.at_once, 1, 1 << 20)?;
        within("statements.queued", self.queued, 0, 1 << 20)?;
        within("statements.lease_seconds", self.lease_seconds, 1, 3600)
    }
}
