//! Which files of tables must stay although their table has them no more: snapshots refer to them.
//!
//! A pin is written before anything relies on its files. What removes files of a table looks at the
//! pins after it has listed what is there.

use std::collections::{BTreeMap, BTreeSet};

use chrono::Utc;
use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use super::error::LedgerError;
use crate::lake::{Lake, LakeError};

/// The folder of the lake that holds one object per pin.
const FOLDER: &str = "system/pins";
/// Pins that are read at the same time.
const AT_ONCE: usize = 8;

/// Files that must stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// Its id.
    pub id: String,
    /// When it was made, in epoch milliseconds.
    pub created: i64,
    /// Files by table, as the table's log calls them.
    pub files: BTreeMap<String, BTreeSet<String>>,
}

/// The pins of a lake.
#[derive(Clone, Debug)]
pub struct Pinned {
    lake: Lake,
}

impl Pinned {
    /// Those of a lake.
    pub fn new(lake: Lake) -> Self {
        Self { lake }
    }

    /// Pins files. They may be relied on when this has returned and they are still there.
    ///
    /// # Errors
    /// If the lake cannot be written.
    pub async fn put(
        &self,
        id: &str,
        files: BTreeMap<String, BTreeSet<String>>,
    ) -> Result<(), LedgerError> {
        let pin = Pin { id: id.to_owned(), created: Utc::now().timestamp_millis(), files };
        let path = path(id);
        let bytes = serde_json::to_vec(&pin).map_err(|error| LakeError::Unreadable {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        Ok(self.lake.put_object(&path, bytes).await?)
    }

    /// Nothing relies on a pin any more.
    ///
    /// # Errors
    /// If the lake cannot be written.
    pub async fn remove(&self, id: &str) -> Result<(), LedgerError> {
        Ok(self.lake.remove_object(&path(id)).await?)
    }

    /// All pins.
    ///
    /// # Errors
    /// Also if one cannot be read: it is not known then what must stay.
    pub async fn all(&self) -> Result<Vec<Pin>, LedgerError> {
        let names = self.lake.list_objects(FOLDER).await?;
        let reads = names.into_iter().map(|name| self.read(format!("{FOLDER}/{name}")));
        let all: Vec<Option<Pin>> =
            futures::stream::iter(reads).buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(all.into_iter().flatten().collect())
    }

    /// The files of a table that are pinned.
    ///
    /// # Errors
    /// See [`Pinned::all`].
    pub async fn of(&self, table: &str) -> Result<BTreeSet<String>, LedgerError> {
        let all = self.all().await?;
        Ok(all.into_iter().filter_map(|mut pin| pin.files.remove(table)).flatten().collect())
    }

    /// Whether a pin is there.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn has(&self, id: &str) -> Result<bool, LedgerError> {
        Ok(self.lake.object_bytes(&path(id)).await?.is_some())
    }

    /// One pin; `None` if it was removed meanwhile.
    async fn read(&self, path: String) -> Result<Option<Pin>, LedgerError> {
        let Some(bytes) = self.lake.read_object(&path).await? else { return Ok(None) };
        let pin = serde_json::from_slice(&bytes);
        let pin = pin.map_err(|error| LakeError::Unreadable { path, reason: error.to_string() })?;
        Ok(Some(pin))
    }
}

fn path(id: &str) -> String {
    format!("{FOLDER}/{id}.json")
}
