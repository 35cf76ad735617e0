//! Section `[landing]`.

use serde::Deserialize;

/// What landing takes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LandingConfig {
    /// Bytes of one record; a longer one is rejected.
    pub record_bytes: usize,
    /// Hours that a record's moment may be ahead of this server's clock.
    pub ahead_hours: u64,
}

impl Default for LandingConfig {
    fn default() -> Self {
        Self { record_bytes: 1024 * 1024, ahead_hours: 24 }
    }
}
