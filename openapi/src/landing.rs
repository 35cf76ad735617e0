//! The answer of a load.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What became of the records of a load:
/// `received = accepted + rejected + duplicate + suppressed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadResult {
    /// The landing table.
    pub table: String,
    /// Records in the content.
    pub received: u64,
    /// Records that are now rows of the table.
    pub accepted: u64,
    /// Records that were kept aside in `<table>_rejected`.
    pub rejected: u64,
    /// Records of content that was loaded before.
    pub duplicate: u64,
    /// Records of erased customers, which are kept out.
    pub suppressed: u64,
    /// Version of the table that holds the rows.
    pub version: u64,
    /// The first rejected records, at most 100.
    pub rejects: Vec<Reject>,
    /// How often each field occurred that the table has no column for.
    pub unknown_fields: BTreeMap<String, u64>,
}

/// A record that could not be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// The line on which it begins; the first is 1.
    pub line: u64,
    /// What is wrong, without repeating a value.
    pub reason: String,
}
