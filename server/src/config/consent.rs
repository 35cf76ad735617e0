//! Section `[consent]`.

use serde::Deserialize;

/// How soon a withdrawn consent is obeyed, and what follows.
#[derive(Clone, Debug, PartialEq, Deserialize)]
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
