//! Which versions a table has, and since when.

use deltalake::logstore::object_store::ObjectStore;
use deltalake::logstore::object_store::path::Path;
use futures::TryStreamExt;

use super::error::LakeError;
use super::table::Table;

/// A commit that is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitTime {
    /// The version that it made.
    pub version: u64,
    /// When, in epoch milliseconds: the time that the store gave the commit's file, and never
    /// before that of an older commit (Delta protocol, "Commit Provenance").
    pub millis: i64,
}

impl Table {
    /// The commits whose files are in the log, oldest first: one listing.
    pub async fn commits(&self) -> Result<Vec<CommitTime>, LakeError> {
        let failed = |error| LakeError::table(&self.name)(deltalake::DeltaTableError::from(error));
        let store = self.delta.object_store();
        let mut files = store.list(Some(&Path::from("_delta_log")));
        let mut commits = Vec::new();
        while let Some(file) = files.try_next().await.map_err(failed)? {
            let digits = file.location.filename().and_then(|name| name.strip_suffix(".json"));
            if let Some(version) = digits.and_then(|digits| digits.parse().ok()) {
                commits.push(CommitTime { version, millis: file.last_modified.timestamp_millis() });
            }
        }
        commits.sort_unstable_by_key(|commit| commit.version);
        let mut latest = i64::MIN;
        for commit in &mut commits {
            latest = latest.max(commit.millis);
            commit.millis = latest;
        }
        Ok(commits)
    }
}
