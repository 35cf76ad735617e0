//! Section `[landing]`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::{ConfigError, within};

/// What landing takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LandingConfig {
    /// Bytes of one record; a longer one is rejected.
    pub record_bytes: usize,
    /// Hours that a record's moment may be ahead of this server's clock.
    pub ahead_hours: u64,
    /// Bytes of one upload, decompressed.
    pub body_bytes: u64,
    /// Seconds for which the log of a landing table that is made from now on names the contents that
    /// were loaded. Content that comes again later is still known, by a look at the rows.
    pub marker_seconds: u64,
    /// Seconds for which the idempotency key of a load is remembered.
    pub key_seconds: u64,
    /// Folders of this server, and `s3://bucket/prefix`, that files may be imported from; none
    /// unless they are named.
    pub import_from: Vec<String>,
    /// Imports that may wait; further ones are turned away.
    pub imports_queued: usize,
    /// Seconds without a sign of life after which another server takes an import over.
    pub import_lease_seconds: u64,
    /// Uploads that are loaded at once; further ones are told to come again.
    pub loads_at_once: usize,
}

impl Default for LandingConfig {
    fn default() -> Self {
        Self {
            record_bytes: 1024 * 1024,
            ahead_hours: 24,
            body_bytes: 1 << 30,
            marker_seconds: 30 * 24 * 3600,
            key_seconds: 7 * 24 * 3600,
            import_from: Vec::new(),
            imports_queued: 16,
            import_lease_seconds: 15,
            loads_at_once: 8,
        }
    }
}

impl LandingConfig {
    /// Whether the values make sense.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within("landing.record_bytes", self.record_bytes, 1, 1 << 30)?;
        within("landing.ahead_hours", self.ahead_hours, 0, 1 << 20)?;
        within("landing.body_bytes", self.body_bytes, 1, 1 << 50)?;
        within("landing.marker_seconds", self.marker_seconds, 0, 1 << 32)?;
        within("landing.key_seconds", self.key_seconds, 1, 1 << 32)?;
        within("landing.imports_queued", self.imports_queued, 0, 1 << 30)?;
        within("landing.import_lease_seconds", self.import_lease_seconds, 1, 3600)?;
        within("landing.loads_at_once", self.loads_at_once, 1, 1 << 20)
    }
}
