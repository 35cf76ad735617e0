//! Whose rows are denied, and where.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::{Deserialize, Serialize};

/// Why rows are denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// A customer withdrew their consent.
    Revocation,
    /// A customer is to be forgotten.
    Erasure,
}

/// Whose rows no read returns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denied {
    /// The request that asks for it.
    pub request: String,
    /// Why.
    pub reason: Reason,
    /// Since when, in epoch milliseconds.
    pub since: i64,
    /// Pseudonyms.
    pub subjects: BTreeSet<String>,
    /// Serial numbers of the devices that the subjects claim: in tables whose rows are replaced by
    /// device, all rows of these.
    pub devices: BTreeSet<String>,
}

/// An entry of the list.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The object that made it.
    pub seq: u64,
    pub denied: Denied,
    /// Versions of tables from which on the rows are gone.
    pub gone: BTreeMap<String, u64>,
}

/// A version of a table that somebody reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The table.
    pub table: String,
    /// Its version.
    pub version: u64,
    /// Whether it keeps what was received, which only an erasure takes away.
    pub received: bool,
}

impl Entry {
    /// Whether rows may be in a version of a table.
    pub fn concerns(&self, seen: &Seen) -> bool {
        let covers = !seen.received || self.denied.reason == Reason::Erasure;
        covers && self.gone.get(&seen.table).is_none_or(|gone| seen.version < *gone)
    }
}

/// Whose rows are to be hidden in one version of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hidden {
    /// Pseudonyms.
    pub subjects: HashSet<String>,
    /// Serial numbers.
    pub devices: HashSet<String>,
    /// The same for the same requests.
    pub mark: String,
}
