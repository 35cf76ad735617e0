//! Section `[memory]`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::{ConfigError, within};

/// What plans may use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryConfig {
    /// Bytes of memory for all plans together. Sorts and aggregates spill what does not fit; the
    /// smaller side of a join must fit.
    pub pool_bytes: usize,
    /// Bytes that may be spilled into the state folder at one time.
    pub spill_bytes: u64,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self { pool_bytes: 1 << 30, spill_bytes: 16 << 30 }
    }
}

impl MemoryConfig {
    /// Whether the values make sense.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within("memory.pool_bytes", self.pool_bytes, 1 << 20, usize::MAX >> 1)?;
        within("memory.spill_bytes", self.spill_bytes, 0, u64::MAX >> 1)
    }
}
