//! Section `[maintenance]`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::{ConfigError, within};

/// How tables are kept quick and small.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MaintenanceConfig {
    /// Seconds after which each server looks at all tables; 0 for never, then it is done on demand
    /// only.
    pub every_seconds: u64,
    /// Seconds without a sign of life after which another server may maintain a table.
    pub lease_seconds: u64,
    /// Commits after which a checkpoint is written.
    pub checkpoint_commits: u64,
    /// Bytes below which a data file is small.
    pub small_file_bytes: u64,
    /// Small files, or sorted runs of larger ones, of about the same size that are rewritten as one,
    /// from 2 on. More mean less work, and more files to look into for every reader.
    pub min_files: usize,
    /// Bytes of data files that are rewritten at once. Sorting them takes several times as much
    /// memory, or space to spill.
    pub rewrite_bytes: u64,
    /// Hours for which each version of a table can be read. It should be more than the longest
    /// statement takes. What a derived table did not take in yet is kept for longer.
    pub log_retention_hours: u64,
    /// Hours after which a file is removed that nothing refers to. It must be well above what the
    /// longest load or promotion takes: until it commits, nothing refers to its files.
    pub file_retention_hours: u64,
    /// Hours after which a server looks for such files again.
    pub files_every_hours: u64,
    /// Hours for which a maintenance that was asked for is kept, and an idempotency key remembered.
    pub keep_hours: u64,
}

impl Default for MaintenanceConfig {
    fn default() -> Self {
        Self {
            every_seconds: 600,
            lease_seconds: 30,
            checkpoint_commits: 20,
            small_file_bytes: 16 << 20,
            min_files: 8,
            rewrite_bytes: 512 << 20,
            log_retention_hours: 7 * 24,
            file_retention_hours: 24,
            files_every_hours: 24,
            keep_hours: 7 * 24,
        }
    }
}

impl MaintenanceConfig {
    /// Whether the values make sense.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        // Without a retention files would go that a load has just written, or a statement reads.
        within("maintenance.log_retention_hours", self.log_retention_hours, 1, 1 << 20)?;
        within("maintenance.file_retention_hours", self.file_retention_hours, 1, 1 << 20)?;
        within("maintenance.every_seconds", self.every_seconds, 0, 1 << 32)?;
        within("maintenance.lease_seconds", self.lease_seconds, 1, 3600)?;
        within("maintenance.checkpoint_commits", self.checkpoint_commits, 1, 1 << 30)?;
        within("maintenance.small_file_bytes", self.small_file_bytes, 0, 1 << 40)?;
        within("maintenance.min_files", self.min_files, 2, 1 << 20)?;
        within("maintenance.rewrite_bytes", self.rewrite_bytes, 1, 1 << 50)?;
        within("maintenance.files_every_hours", self.files_every_hours, 0, 1 << 20)?;
        within("maintenance.keep_hours", self.keep_hours, 0, 1 << 20)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_removed_at_once() {
        let check = |text: &str| {
            let config: MaintenanceConfig = toml::from_str(text).unwrap();
            config.check().map_err(|error| error.to_string())
        };
        assert_eq!(check(""), Ok(()));
        assert_eq!(check("every_seconds = 0"), Ok(()));
        for (text, key) in [
            ("min_files = 1", "maintenance.min_files: 1 is not within 2 to"),
            ("log_retention_hours = 0", "maintenance.log_retention_hours: 0"),
            ("file_retention_hours = 0", "maintenance.file_retention_hours: 0"),
        ] {
            let error = check(text).unwrap_err();
            assert!(error.contains(key), "{text}: {error}");
        }
    }
}
