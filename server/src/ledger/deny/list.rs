//! The list as it is up to a number of the log.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::entry::{Entry, Hidden, Seen};
use super::log::{Record, What};

/// What the log says up to some object.
#[derive(Clone, Debug, Default)]
pub struct DenyList {
    seq: u64,
    /// By request.
    entries: BTreeMap<String, Arc<Entry>>,
}

impl DenyList {
    /// What is known of a log that begins behind this object.
    pub(super) fn behind(seq: u64) -> Self {
        Self { seq, entries: BTreeMap::new() }
    }

    /// The last object of the log that is in it.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Entries that are not lifted.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a request has an entry that is not lifted.
    pub fn has(&self, request: &str) -> bool {
        self.entries.contains_key(request)
    }

    /// The version of each table from which on the rows of a request are known to be gone.
    pub fn gone(&self, request: &str) -> BTreeMap<String, u64> {
        self.entries.get(request).map(|entry| entry.gone.clone()).unwrap_or_default()
    }

    /// Whose rows are to be hidden in a version of a table; `None` if nobody's.
    pub fn hidden(&self, seen: &Seen) -> Option<Hidden> {
        let (mut subjects, mut devices) = (HashSet::new(), HashSet::new());
        let mut mark = Sha256::new();
        let mut some = false;
        for (request, entry) in &self.entries {
            if !entry.concerns(seen) {
                continue;
            }
            some = true;
            subjects.extend(entry.denied.subjects.iter().cloned());
            devices.extend(entry.denied.devices.iter().cloned());
            mark.update((request.len() as u64).to_le_bytes());
            mark.update(request.as_bytes());
        }
        some.then(|| Hidden { subjects, devices, mark: hex::encode(mark.finalize()) })
    }

    /// The requests whose rows may be in a version of a table.
    pub fn concerning(&self, seen: &Seen) -> Vec<&String> {
        let concerned = self.entries.iter().filter(|(_, entry)| entry.concerns(seen));
        concerned.map(|(request, _)| request).collect()
    }

    /// Whether an object behind `seq` denies rows in a version of a table.
    pub fn denies_since(&self, seq: u64, seen: &Seen) -> bool {
        self.entries.values().any(|entry| entry.seq > seq && entry.concerns(seen))
    }

    /// The first object that is still needed.
    pub(super) fn base(&self) -> u64 {
        self.entries.values().map(|entry| entry.seq).min().unwrap_or(self.seq + 1)
    }

    /// The entries that an object made.
    pub(super) fn made_by(&self, seq: u64) -> impl Iterator<Item = &Entry> {
        self.entries.values().map(Arc::as_ref).filter(move |entry| entry.seq == seq)
    }

    /// The object that made the entry of a request.
    pub(super) fn maker(&self, request: &str) -> Option<u64> {
        self.entries.get(request).map(|entry| entry.seq)
    }

    /// With the next object of the log.
    pub(super) fn with(&self, record: Record) -> Self {
        let (seq, mut entries) = (self.seq + 1, self.entries.clone());
        match record.what {
            What::Deny(all) => entries.extend(all.into_iter().map(|denied| {
                let entry = Entry { seq, gone: BTreeMap::new(), denied };
                (entry.denied.request.clone(), Arc::new(entry))
            })),
            What::Gone { requests, versions } => {
                for request in requests {
                    let Some(entry) = entries.get_mut(&request) else { continue };
                    for (table, version) in &versions {
                        let gone = Arc::make_mut(entry).gone.entry(table.clone()).or_default();
                        *gone = (*version).max(*gone);
                    }
                }
            }
            What::Lift(requests) => entries.retain(|request, _| !requests.contains(request)),
        }
        Self { seq, entries }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::ledger::deny::entry::{Denied, Reason};

    fn denied(request: &str, subject: &str) -> Denied {
        Denied {
            request: request.to_owned(),
            reason: Reason::Revocation,
            since: 1,
            subjects: BTreeSet::from([subject.to_owned()]),
            devices: BTreeSet::from([format!("device of {subject}")]),
        }
    }

    fn seen(table: &str, version: u64) -> Seen {
        Seen { table: table.to_owned(), version, received: false }
    }

    fn list(all: impl IntoIterator<Item = What>) -> DenyList {
        all.into_iter().fold(DenyList::default(), |list, what| {
            list.with(Record { writer: String::new(), base: 1, what })
        })
    }

    fn gone(request: &str, version: u64) -> What {
        let versions = BTreeMap::from([("t".to_owned(), version)]);
        What::Gone { requests: BTreeSet::from([request.to_owned()]), versions }
    }

    #[test]
    fn an_entry_hides_below_the_version_at_which_rows_are_gone() {
        let both = What::Deny(vec![denied("r", "a"), denied("q", "b")]);
        let all = list([both, gone("r", 7), gone("unknown", 9)]);
        assert_eq!((all.seq(), all.len(), all.base()), (3, 2, 1));
        let subjects = |table: &str, version| {
            let hidden = all.hidden(&seen(table, version)).unwrap();
            BTreeSet::from_iter(hidden.subjects)
        };
        assert_eq!(subjects("t", 6), BTreeSet::from(["a".to_owned(), "b".to_owned()]));
        assert_eq!(subjects("t", 7), BTreeSet::from(["b".to_owned()]));
        assert_eq!(subjects("u", 7).len(), 2);
        let mark = |version| all.hidden(&seen("t", version)).unwrap().mark;
        assert_ne!(mark(6), mark(7));
        assert_eq!(all.hidden(&seen("t", 6)), all.hidden(&seen("u", 1)));
    }

    #[test]
    fn lifted_entries_hide_nothing_and_are_not_needed() {
        let lift = What::Lift(BTreeSet::from(["r".to_owned()]));
        let all = list([
            What::Deny(vec![denied("r", "a")]),
            What::Deny(vec![denied("q", "b")]),
            lift,
            gone("q", 1),
        ]);
        assert_eq!(all.base(), 2);
        let hidden = all.hidden(&seen("t", 0)).unwrap();
        assert_eq!(hidden.subjects, HashSet::from(["b".to_owned()]));
        assert_eq!(all.hidden(&seen("t", 1)), None);
        assert_eq!(list([]).base(), 1);
    }

    #[test]
    fn only_what_came_since_is_news() {
        let all = list([
            What::Deny(vec![denied("r", "a")]),
            What::Deny(vec![denied("q", "b")]),
            gone("q", 5),
        ]);
        let since = |seq, table, version| all.denies_since(seq, &seen(table, version));
        assert!(since(0, "t", 9) && !since(1, "t", 9));
        assert!(since(1, "t", 4) && !since(2, "t", 4));
        assert!(since(1, "u", 9));
    }

    #[test]
    fn what_was_received_is_hidden_for_an_erasure_only() {
        let erased = Denied { reason: Reason::Erasure, ..denied("q", "b") };
        let all = list([What::Deny(vec![denied("r", "a"), erased]), gone("q", 5)]);
        let received = |version| Seen { received: true, ..seen("t", version) };
        let hidden = all.hidden(&received(4)).unwrap();
        assert_eq!(hidden.subjects, HashSet::from(["b".to_owned()]));
        assert_eq!(all.hidden(&received(5)), None);
        assert_eq!(all.hidden(&seen("t", 4)).unwrap().subjects.len(), 2);
        assert!(all.denies_since(0, &received(4)) && !all.denies_since(0, &received(5)));
    }
}
