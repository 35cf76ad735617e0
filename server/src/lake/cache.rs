//! Tables as they were last seen, so that a statement over unchanged tables asks the store nothing.
//!
//! Only reads use it. What this process commits is seen here at once; what others commit, after
//! the configured staleness. Writers always read the log.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::error::LakeError;
use super::store::Lake;
use super::table::Table;

/// Older versions that are kept loaded.
const PAST: usize = 16;

/// The tables that a process has seen.
#[derive(Debug)]
pub(super) struct TableCache {
    pub(super) staleness: Duration,
    slots: Mutex<HashMap<String, Arc<Slot>>>,
    /// Older versions, the last used last.
    past: Mutex<Vec<(String, Table)>>,
}

#[derive(Debug, Default)]
struct Slot {
    newest: Mutex<Option<(Table, Instant)>>,
    /// One refresh at a time: whoever waits finds what the other one read.
    refresh: tokio::sync::Mutex<()>,
}

impl TableCache {
    pub fn new(staleness: Duration) -> Self {
        Self { staleness, slots: Mutex::default(), past: Mutex::default() }
    }

    /// Takes a version that was read or committed, if it is newer than what is here; `asked` is
    /// when the store was asked for it.
    pub fn offer(&self, key: &str, table: &Table, asked: Instant) {
        self.slot(key).offer(table, asked);
    }

    fn slot(&self, key: &str) -> Arc<Slot> {
        let mut slots = held(&self.slots);
        match slots.get(key) {
            Some(slot) => Arc::clone(slot),
            None => Arc::clone(slots.entry(key.to_owned()).or_default()),
        }
    }

    fn past(&self, key: &str, version: u64) -> Option<Table> {
        let mut past = held(&self.past);
        let place = past.iter().position(|(k, table)| k == key && table.version() == version)?;
        let found = past.remove(place);
        let table = found.1.clone();
        past.push(found);
        Some(table)
    }

    fn keep(&self, key: &str, table: &Table) {
        let mut past = held(&self.past);
        if past.len() >= PAST {
            past.remove(0);
        }
        past.push((key.to_owned(), table.clone()));
    }
}

impl Slot {
    fn offer(&self, table: &Table, asked: Instant) {
        let mut newest = held(&self.newest);
        match newest.as_mut() {
            // The same version keeps what was already made for it.
            Some((known, seen)) if known.version() == table.version() => {
                *seen = asked.max(*seen);
            }
            Some((known, _)) if known.version() > table.version() => {}
            _ => *newest = Some((table.clone(), asked)),
        }
    }

    fn fresh(&self, staleness: Duration) -> Option<Table> {
        let newest = held(&self.newest);
        newest
            .as_ref()
            .filter(|(_, seen)| seen.elapsed() < staleness)
            .map(|(table, _)| table.clone())
    }
}

impl Lake {
    /// A table of `folder` to read, no older than the configured staleness; `None` if there is no
    /// such table.
    pub async fn newest(&self, folder: &str, name: &str) -> Result<Option<Table>, LakeError> {
        let key = format!("{folder}/{name}");
        let slot = self.cache.slot(&key);
        if let Some(table) = slot.fresh(self.cache.staleness) {
            self.metrics.table_cache_hit();
            return Ok(Some(table));
        }
        let asked = Instant::now();
        let _turn = slot.refresh.lock().await;
        if let Some(table) = slot.fresh(asked.elapsed().max(self.cache.staleness)) {
            self.metrics.table_cache_hit();
            return Ok(Some(table));
        }
        self.metrics.table_cache_miss();
        // What is read now may have been written before the answer comes.
        let asked = Instant::now();
        let known = held(&slot.newest).as_ref().map(|(table, _)| table.clone());
        let table = match known {
            Some(known) => Some(known.refreshed().await?),
            None => self.table(folder, name).await?,
        };
        if let Some(table) = &table {
            slot.offer(table, asked);
        }
        // The slot keeps what was made for this version, such as its reader.
        let kept = held(&slot.newest).as_ref().map(|(table, _)| table.clone());
        Ok(table.and(kept))
    }

    /// The newest version of a table of `folder` at this moment, for whoever writes; `None` if there
    /// is no such table. What is known of it is brought up to date, which costs one listing.
    pub async fn current(&self, folder: &str, name: &str) -> Result<Option<Table>, LakeError> {
        let slot = self.cache.slot(&format!("{folder}/{name}"));
        let known = held(&slot.newest).as_ref().map(|(table, _)| table.clone());
        let Some(known) = known else { return self.table(folder, name).await };
        let asked = Instant::now();
        let table = known.refreshed().await?;
        slot.offer(&table, asked);
        Ok(Some(table))
    }

    /// A table of `folder` as it was at a version that is not newer than `newest`.
    ///
    /// # Errors
    /// Also if the log does not lead back so far any more.
    pub async fn past(
        &self,
        folder: &str,
        newest: &Table,
        version: u64,
    ) -> Result<Table, LakeError> {
        if newest.version() == version {
            return Ok(newest.clone());
        }
        let key = format!("{folder}/{}", newest.name());
        // Behind a cleanup of the log the files of a version that is known may be gone, too.
        if let Some(table) = self.cache.past(&key, version)
            && newest.has_commit(version).await?
        {
            self.metrics.table_cache_hit();
            return Ok(table);
        }
        self.metrics.table_cache_miss();
        let table = newest.at(version).await?;
        self.cache.keep(&key, &table);
        Ok(table)
    }
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds one of these locks; the content is whole in any case.
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
