//! Fences: table properties that writers who began before they were set run into.
//!
//! A commit that was begun on an older state meets the commit of the fence, which changes the table's
//! metadata, and fails: no writer is rebased over that (Delta protocol, "Change Metadata").
//!
//! - `stedi.fence` is the number of a list. Who writes loads the table's state first, then a list at
//!   least as new as its fence.
//! - `stedi.purge` is the version with which a purge has the history begin. Files that were written
//!   before it, and are in no commit then, are committed by loads only: everybody else writes anew.

use deltalake::DeltaTableError;
use deltalake::kernel::{Metadata, MetadataExt};
use serde_json::{Value, json};

use super::commit::{Author, Change, Mode, commit};
use super::error::LakeError;
use super::store::Lake;
use super::table::Table;
use super::write::Written;

/// The table property of a list's number.
const FENCE: &str = "stedi.fence";
/// The table property of a purge.
pub(super) const PURGE: &str = "stedi.purge";
/// The application id of the `txn` action of its commit.
const MARKER: &str = "fence";
/// How often a commit is tried again that others got in the way of.
const ATTEMPTS: usize = 100;

impl Table {
    /// The number up to which whoever writes it must know the list; 0 for a table without a fence.
    ///
    /// # Errors
    /// If it is not a number.
    pub fn fence(&self) -> Result<u64, LakeError> {
        Ok(self.number(FENCE)?.unwrap_or_default())
    }

    /// Whether a purge began between this state of the table and a newer one: files that were written
    /// before it, and are in no commit, may be removed at any moment.
    ///
    /// # Errors
    /// If that is not known.
    pub fn is_purged_since(&self, newer: &Self) -> Result<bool, LakeError> {
        Ok(self.number(PURGE)? != newer.number(PURGE)?)
    }

    pub(super) fn number(&self, property: &str) -> Result<Option<u64>, LakeError> {
        let state = self.delta.snapshot().map_err(LakeError::table(&self.name))?;
        let Some(text) = state.metadata().configuration().get(property) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| LakeError::Unreadable {
            path: self.name.clone(),
            reason: format!("its property {property} is not a number"),
        })
    }

    pub(super) fn with_number(
        &self,
        property: &str,
        number: u64,
    ) -> Result<Metadata, DeltaTableError> {
        let metadata = self.delta.snapshot()?.metadata().clone();
        Ok(metadata.add_config_key(property.to_owned(), number.to_string())?)
    }
}

impl Lake {
    /// The newest version of a table of `folder`, whose fence is at least this number; `None` if there
    /// is no such table. `info` is what its history says of the commit, if there is one.
    ///
    /// # Errors
    /// If the table cannot be read or committed to.
    pub async fn fence(
        &self,
        folder: &str,
        name: &str,
        number: u64,
        (author, info): (&Author, &Value),
    ) -> Result<Option<Table>, LakeError> {
        for _ in 0..ATTEMPTS {
            let Some(table) = self.current(folder, name).await? else { return Ok(None) };
            if table.fence()? >= number {
                return Ok(Some(table));
            }
            let mut info = info.clone();
            if let Some(fields) = info.as_object_mut() {
                fields.insert("fence".to_owned(), json!(number));
            }
            let change = Change {
                mode: Mode::Fence(FENCE, number),
                written: Written::default(),
                columns: None,
                txns: vec![(MARKER.to_owned(), i64::try_from(number).unwrap_or(i64::MAX))],
                author: author.clone(),
                info,
            };
            match commit(self, folder, &table, change).await {
                Ok(_) | Err(LakeError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(LakeError::Conflict { table: name.to_owned() })
    }
}
