//! Up to where the past of a table was purged: a small object beside the table, since nothing in the
//! table itself may tell of what is gone.

use serde::{Deserialize, Serialize};

use super::error::LakeError;
use super::store::Lake;

/// The folder of the lake that holds one object per purged table.
const FOLDER: &str = "system/purges";

/// The purge of a table that began last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Purged {
    /// The table.
    pub table: String,
    /// The version with which its history begins: no older one is read from `at` on.
    pub version: u64,
    /// Whether a commit was made for it, which changes no row. Otherwise not even the commit of
    /// `version` is needed.
    pub marked: bool,
    /// When it began, in epoch milliseconds.
    pub at: i64,
    /// The id of what it is for; it says nothing of a person.
    pub reason: String,
    /// When everything before `version` was removed, in epoch milliseconds.
    pub done: Option<i64>,
    /// Files of data and change data that were removed.
    pub files_removed: u64,
    /// Their bytes.
    pub bytes_removed: u64,
    /// Commits that were removed from the log.
    pub commits_removed: u64,
    /// Other files of the log that were: checkpoints, checksums, compacted commits.
    pub log_files_removed: u64,
}

impl Lake {
    /// The purge of a table that began last; `None` if there never was one.
    ///
    /// # Errors
    /// Also if its object cannot be read as one: it is not known then what may be read.
    pub async fn purged(&self, table: &str) -> Result<Option<Purged>, LakeError> {
        let path = path(table);
        let Some(bytes) = self.read_object(&path).await? else { return Ok(None) };
        let parsed = serde_json::from_slice(&bytes);
        parsed.map(Some).map_err(|error| LakeError::Unreadable { path, reason: error.to_string() })
    }

    pub(super) async fn note_purge(&self, purged: &Purged) -> Result<(), LakeError> {
        let path = path(&purged.table);
        let bytes = serde_json::to_vec(purged);
        let unwritable = |error: serde_json::Error| LakeError::Unreadable {
            path: path.clone(),
            reason: error.to_string(),
        };
        self.put_object(&path, bytes.map_err(unwritable)?).await
    }
}

fn path(table: &str) -> String {
    format!("{FOLDER}/{table}.json")
}
