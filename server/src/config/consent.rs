//! Section `[consent]`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::{ConfigError, within};

/// How soon a withdrawn consent is obeyed, and what follows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConsentConfig {
    /// Milliseconds after which the deny list is looked at anew, at most 500: an acknowledgement
    /// waits for servers that look no more often than that.
    pub staleness_ms: u64,
    /// Hours within which a revocation has to be done; after that it counts as overdue. The law gives
    /// a month (GDPR, article 12).
    pub deadline_hours: u64,
    /// Revocations that may be open; further ones are turned away.
    pub queued: usize,
    /// Seconds without a sign of life after which another server takes a revocation over.
    pub lease_seconds: u64,
    /// Hours for which a revocation that has ended is kept. Certificates stay for ever.
    pub keep_hours: u64,
    /// Seconds for which a version that is purged may still be read by whoever began before; the
    /// longest time that a statement may take, if it is not given.
    pub grace_seconds: Option<u64>,
}

impl Default for ConsentConfig {
    fn default() -> Self {
        Self {
            staleness_ms: 500,
            deadline_hours: 7 * 24,
            queued: 10_000,
            lease_seconds: 15,
            keep_hours: 400 * 24,
            grace_seconds: None,
        }
    }
}

impl ConsentConfig {
    /// Whether the values make sense.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within("consent.staleness_ms", self.staleness_ms, 10, 500)?;
        within("consent.deadline_hours", self.deadline_hours, 0, 31 * 24)?;
        within("consent.queued", self.queued, 0, 1 << 30)?;
        within("consent.lease_seconds", self.lease_seconds, 1, 3600)?;
        within("consent.keep_hours", self.keep_hours, 1, 1 << 20)?;
        within("consent.grace_seconds", self.grace_seconds.unwrap_or_default(), 0, 7 * 86_400)
    }
}
