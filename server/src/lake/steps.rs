//! What each commit did to a table's rows, one after the other.

use std::collections::{BTreeMap, BTreeSet};

use deltalake::logstore::object_store::ObjectStoreExt;
use deltalake::logstore::object_store::path::Path;

use super::changes::Untold;
use super::error::LakeError;
use super::files::DataFiles;
use super::table::Table;

/// What one commit did.
#[derive(Clone, Debug)]
pub struct Step {
    /// The version that it made.
    pub version: u64,
    /// Files with the rows that went.
    pub gone: DataFiles,
    /// Files with the rows that came.
    pub came: DataFiles,
    /// The column that tells rows that went from those that came, where both are in the same files: it
    /// says `delete` and `insert` (Delta protocol, "Change Data Files").
    pub kind: Option<&'static str>,
    /// Its `txn` actions.
    pub txns: BTreeMap<String, i64>,
}

impl Table {
    /// The commits since a version, oldest first. A row that only moves to another file did not change.
    pub async fn steps_since(&self, version: u64) -> Result<Result<Vec<Step>, Untold>, LakeError> {
        if version > self.version() {
            return Ok(Err(Untold::Older));
        }
        let mut from = version;
        let mut commits = self.commits_after(from).await?;
        // The commits before a purge are gone; it says from where on they changed no row.
        if commits.iter().any(Option::is_none) {
            from = self.caught_up(version).await?;
            commits = self.commits_after(from).await?;
        }
        let live = self.files()?;
        let live: BTreeSet<&str> = live.names().collect();
        let store = self.delta.object_store();
        let mut steps = Vec::new();
        for (version, commit) in (from + 1..).zip(commits) {
            let Some(commit) = commit else { return Ok(Err(Untold::LogRemoved)) };
            if commit.schemas.iter().any(|schema| !self.has_schema(schema)) {
                return Ok(Err(Untold::OtherColumns));
            }
            let fed = !commit.cdc.is_empty();
            let (gone, came) = match fed {
                true => (commit.cdc.clone(), commit.cdc),
                false => (commit.removes, commit.adds),
            };
            // Who only comes does not go: their files are not needed.
            let came = if gone.is_empty() { Vec::new() } else { came };
            let past = gone.iter().chain(came.iter().filter(|_| !fed));
            for file in past.filter(|file| !live.contains(file.name.as_str())) {
                match store.head(&Path::from(file.name.as_str())).await {
                    Ok(_) => {}
                    Err(deltalake::ObjectStoreError::NotFound { .. }) => {
                        return Ok(Err(Untold::FileRemoved));
                    }
                    Err(error) => return Err(LakeError::table(&self.name)(error.into())),
                }
            }
            let (gone, came) = (self.choice(gone)?, self.choice(came)?);
            steps.push(match fed {
                true => {
                    let (gone, kind) = gone.with_kinds();
                    let (came, _) = came.with_kinds();
                    Step { version, gone, came, kind: Some(kind), txns: commit.txns }
                }
                false => Step { version, gone, came, kind: None, txns: commit.txns },
            });
        }
        Ok(Ok(steps))
    }
}
