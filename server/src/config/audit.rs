//! Section `[audit]`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::{ConfigError, within};

/// How the audit is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuditConfig {
    /// Whether the journal is synced to the disk before an answer leaves. Without it a power loss
    /// may cost records, a crash of the server does not.
    pub fsync: bool,
    /// Milliseconds that a record waits in the journal before it is appended to the table.
    pub flush_ms: u64,
    /// Records that wait in the journal before they are appended to the table.
    pub batch_rows: u64,
    /// Bytes that the journal may hold while the lake takes no records; then requests are refused.
    pub journal_bytes: u64,
    /// Seconds for which the same denied request is counted instead of recorded again.
    pub denied_seconds: u64,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self {
            fsync: true,
            flush_ms: 1000,
            batch_rows: 10_000,
            journal_bytes: 256 << 20,
            denied_seconds: 60,
        }
    }
}

impl AuditConfig {
    /// Whether the values make sense.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within("audit.flush_ms", self.flush_ms, 1, 3_600_000)?;
        within("audit.batch_rows", self.batch_rows, 1, 1 << 30)?;
        within("audit.journal_bytes", self.journal_bytes, 1 << 16, 1 << 50)?;
        within("audit.denied_seconds", self.denied_seconds, 0, 86_400)
    }
}
