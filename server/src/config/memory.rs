//! Section `[memory]`.

use serde::Deserialize;

/// What plans may use.
#[derive(Clone, Debug, PartialEq, Deserialize)]
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
