//! Section `[lake]`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::{ConfigError, within};

/// How tables are read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LakeConfig {
    /// Milliseconds for which a table is taken to be as it was last seen, and a snapshot of which files
    /// are fetched, unless a consent ended. What this server commits is seen at once; what other servers
    /// commit, after at most this time.
    pub staleness_ms: u64,
}

impl Default for LakeConfig {
    fn default() -> Self {
        Self { staleness_ms: 1000 }
    }
}

impl LakeConfig {
    /// Whether the values make sense.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within("lake.staleness_ms", self.staleness_ms, 0, 3_600_000)
    }
}
