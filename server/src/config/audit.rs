//! Section `[audit]`.

use serde::Deserialize;

/// How the audit is kept.
#[derive(Clone, Debug, PartialEq, Deserialize)]
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
