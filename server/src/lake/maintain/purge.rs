//! Purge: of a table nothing is left but what is read of it now.
//!
//! A commit takes rows out of a table, and leaves them in files that it does not name any more, in
//! change data, in the log's statistics. A purge removes these, in steps that can each be repeated:
//! [`Lake::begin_purge`] decides with which version the history is to begin, and says so, so that no
//! older one is read from then on. After the grace time, when whoever read one before has ended,
//! [`Table::past_data`] tells which files go, and [`Table::past_commits`] which part of the log,
//! behind a checkpoint. [`Lake::end_purge`] notes that it is done.
//!
//! The log goes last: it tells which of the files in the folder were in the table once, and which
//! belong to a writer that has not committed yet.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::Utc;
use serde_json::json;
use uuid::Uuid;

use crate::lake::commit::{Author, Change, Mode, commit};
use crate::lake::error::LakeError;
use crate::lake::fence::PURGE;
use crate::lake::purged::Purged;
use crate::lake::store::Lake;
use crate::lake::table::Table;
use crate::lake::write::Written;

/// Application id of the `txn` action by which a purge knows its commit. No table can have this name.
const MARKER: &str = "stedi:purge";
/// How often a purge is begun again behind the commits of others.
const ATTEMPTS: usize = 20;

/// What must stay, whatever is purged.
#[derive(Clone, Debug, Default)]
pub struct Pins {
    /// Data files, as the log calls them: paths below the table's folder.
    pub files: BTreeSet<String>,
    /// Versions that must stay readable. A purge that would cut them is held.
    pub versions: BTreeSet<u64>,
}

/// What is to be purged.
#[derive(Clone, Debug)]
pub struct PurgeOrder {
    /// The version as of which the rows are gone that must not be left anywhere.
    pub through: u64,
    /// The id of what it is for. It stays in the lake, and says nothing of a person.
    pub reason: String,
    /// How long whoever began to read an older version may need its files: the longest statement.
    pub grace: Duration,
    /// How old a file that was never committed must be before it goes, if somebody may still commit it
    /// ([`Unfinished`](super::unfinished::Unfinished)). It must be well above what the longest load
    /// takes: until it commits, nothing refers to its files.
    pub unfinished: Duration,
    /// What must stay.
    pub pins: Pins,
    /// A version up to which somebody has looked at what changed, who needs the commits after it.
    pub looked: Option<u64>,
    /// On whose behalf.
    pub author: Author,
}

/// Why a table cannot be purged now. Nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PurgeHeld {
    /// A derived table has not taken in yet what changed up to the order's version.
    Reader,
    /// This version is pinned.
    Pinned(u64),
    /// Others keep changing the table.
    Contended,
    /// There is no such version.
    NoVersion,
}

impl PurgeOrder {
    /// Until when files that may still be read stay, in epoch milliseconds.
    pub fn readable_until(&self, purged: &Purged) -> i64 {
        purged.at.saturating_add(millis(self.grace))
    }

    /// Before this moment, in epoch milliseconds, files were written that nobody can still commit.
    pub fn unfinished_before(&self) -> i64 {
        Utc::now().timestamp_millis().saturating_sub(millis(self.unfinished))
    }

    /// When nobody can commit a file any more that was written at a moment, in epoch milliseconds.
    pub fn finished_at(&self, written: i64) -> i64 {
        written.saturating_add(millis(self.unfinished))
    }
}

impl Lake {
    /// Decides with which version a table's history is to begin, and says so; what was begun and is
    /// not done yet goes on. `needed` is the oldest version that a derived table was last made from:
    /// what changed after it stays.
    ///
    /// # Errors
    /// If the table cannot be read or committed.
    pub async fn begin_purge(
        &self,
        folder: &str,
        name: &str,
        order: &PurgeOrder,
        needed: Option<u64>,
    ) -> Result<Result<Purged, PurgeHeld>, LakeError> {
        if let Some(purged) = self.purged(name).await?
            && (purged.done.is_none() || purged.version >= order.through)
        {
            return Ok(Ok(purged));
        }
        for _ in 0..ATTEMPTS {
            let Some(table) = self.current(folder, name).await? else {
                return Ok(Err(PurgeHeld::NoVersion));
            };
            if table.version() < order.through {
                return Ok(Err(PurgeHeld::NoVersion));
            }
            let newest = table.version();
            // Whoever was made from commits that are gone is made anew anyway.
            let needed = match needed.map(|needed| needed.min(newest)) {
                Some(needed) if needed < newest && !table.has_commit(needed + 1).await? => newest,
                Some(needed) => needed,
                None => newest,
            };
            let since = table.unchanged_since(needed).await?;
            let marked = since <= needed;
            let version = if marked { newest + 1 } else { needed };
            if version < order.through {
                return Ok(Err(PurgeHeld::Reader));
            }
            if let Some(pinned) = order.pins.versions.range(..version).next() {
                return Ok(Err(PurgeHeld::Pinned(*pinned)));
            }
            if marked {
                match mark(self, folder, &table, order, since).await {
                    Ok(()) => {}
                    Err(LakeError::Conflict { .. }) => continue,
                    Err(error) => return Err(error),
                }
            }
            let purged = Purged {
                table: name.to_owned(),
                version,
                marked,
                at: Utc::now().timestamp_millis(),
                reason: order.reason.clone(),
                done: None,
                files_removed: 0,
                bytes_removed: 0,
                commits_removed: 0,
                log_files_removed: 0,
            };
            self.note_purge(&purged).await?;
            return Ok(Ok(purged));
        }
        Ok(Err(PurgeHeld::Contended))
    }

    /// Notes that everything before the purge's version is removed.
    pub async fn end_purge(&self, purged: Purged) -> Result<Purged, LakeError> {
        let purged = Purged { done: Some(Utc::now().timestamp_millis()), ..purged };
        self.note_purge(&purged).await?;
        Ok(purged)
    }
}

/// Makes the commit that the history is to begin with. It has no row and no statistics, and tells
/// those that follow the table's changes since when there were none. Who began to write before it
/// cannot commit any more.
async fn mark(
    lake: &Lake,
    folder: &str,
    table: &Table,
    order: &PurgeOrder,
    unchanged_since: u64,
) -> Result<(), LakeError> {
    // Any number that no other purge has.
    let number = i64::try_from(Uuid::new_v4().as_u64_pair().0 >> 1).unwrap_or_default();
    let change = Change {
        // Never rebased: what it says is true of this version.
        mode: Mode::Fence(PURGE, table.version() + 1),
        written: Written::default(),
        columns: None,
        txns: vec![(MARKER.to_owned(), number)],
        author: order.author.clone(),
        info: json!({
            "operation": "purge",
            "reason": order.reason,
            "unchanged_since": unchanged_since,
        }),
    };
    commit(lake, folder, table, change).await.map(|_| ())
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
