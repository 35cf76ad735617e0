//! Snapshots that were read a moment ago: who fetches a file in many parts has its record read once.
//!
//! Another server may have deleted or redacted one since. That is seen at once where a consent ended or
//! its rows are gone for good, as the deny list is another one then, and otherwise after the staleness
//! of the lake.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::shelf::Record;

/// So many are kept; who fetches at the same time seldom fetches of more.
const MOST: usize = 32;

/// A record as it was at some moment.
#[derive(Debug)]
struct Known {
    record: Arc<Record>,
    /// The last entry of the deny list before it was read.
    seq: u64,
    read: Instant,
}

/// Records by id.
#[derive(Debug)]
pub(super) struct Recent {
    staleness: Duration,
    known: Mutex<HashMap<String, Known>>,
}

impl Recent {
    pub fn new(staleness: Duration) -> Self {
        Self { staleness, known: Mutex::default() }
    }

    /// One that is fresh under a deny list.
    pub fn get(&self, id: &str, seq: u64) -> Option<Arc<Record>> {
        let known = self.known();
        let fresh = |known: &&Known| known.seq == seq && known.read.elapsed() < self.staleness;
        known.get(id).filter(fresh).map(|known| Arc::clone(&known.record))
    }

    /// Keeps one that was read at that moment or later, when the deny list was at least that.
    pub fn keep(&self, record: Arc<Record>, seq: u64, read: Instant) {
        let mut known = self.known();
        known.retain(|_, known| known.read.elapsed() < self.staleness);
        if known.len() < MOST {
            known.insert(record.manifest.id.clone(), Known { record, seq, read });
        }
    }

    /// This server changed one.
    pub fn forget(&self, id: &str) {
        self.known().remove(id);
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str) -> Arc<Record> {
        let record = serde_json::json!({
            "manifest": {
                "id": id, "name": null, "superseded_by": null, "format": "", "created": 0,
                "created_by": "", "redacts": null, "pipeline": "", "options": {}, "splits": {},
                "tables": [],
            },
            "files": {}, "pins": [], "cleared": [], "redacted_for": [],
        });
        Arc::new(serde_json::from_value(record).unwrap())
    }

    #[test]
    fn known_until_the_next_entry_of_the_deny_list() {
        let recent = Recent::new(Duration::from_secs(3600));
        recent.keep(record("a"), 5, Instant::now());
        assert!(recent.get("a", 5).is_some());
        assert!(recent.get("a", 6).is_none() && recent.get("b", 5).is_none());
        recent.forget("a");
        assert!(recent.get("a", 5).is_none());
    }

    #[test]
    fn known_no_longer_than_the_staleness() {
        let recent = Recent::new(Duration::ZERO);
        recent.keep(record("a"), 5, Instant::now());
        assert!(recent.get("a", 5).is_none());
    }

    #[test]
    fn no_more_are_kept_than_so_many() {
        let recent = Recent::new(Duration::from_secs(3600));
        for at in 0..2 * MOST {
            recent.keep(record(&at.to_string()), 5, Instant::now());
        }
        assert_eq!(recent.known().len(), MOST);
        assert!(recent.get("0", 5).is_some());
    }
}
