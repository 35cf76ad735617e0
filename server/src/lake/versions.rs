//! Which versions a table has, and since when.

use deltalake::logstore::object_store::ObjectStoreExt;
use deltalake::logstore::object_store::path::Path;

use super::error::LakeError;
use super::log_files::LOG_FOLDER;
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
        let commits = self.log_files().await?.commits.into_iter();
        Ok(commits.map(|(version, millis)| CommitTime { version, millis }).collect())
    }

    /// The commits of the versions that can be read, oldest first: one listing. Behind a cleanup of
    /// the log that was cut short there may be older ones, from which nothing can be made.
    pub async fn readable(&self) -> Result<Vec<CommitTime>, LakeError> {
        let log = self.log_files().await?;
        let oldest = log.oldest().unwrap_or(u64::MAX);
        let commits = log.commits.range(oldest..);
        Ok(commits.map(|(&version, &millis)| CommitTime { version, millis }).collect())
    }

    /// Whether the log still has the commit that made a version.
    pub(super) async fn has_commit(&self, version: u64) -> Result<bool, LakeError> {
        let commit = Path::from(format!("{LOG_FOLDER}/{version:020}.json"));
        match self.delta.object_store().head(&commit).await {
            Ok(_) => Ok(true),
            Err(deltalake::ObjectStoreError::NotFound { .. }) => Ok(false),
            Err(error) => Err(LakeError::table(&self.name)(error.into())),
        }
    }
}
