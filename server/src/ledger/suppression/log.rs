//! The objects of the log, and those that say which keys there are.

use serde::{Deserialize, Serialize};

use super::entry::Entry;
use crate::ledger::numbered;

/// One object: some erasures. All of them stay.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    pub writer: String,
    pub entries: Vec<Entry>,
}

/// One object: a key that entries may be under.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyRecord {
    pub writer: String,
    /// Its check value.
    pub key: String,
}

impl numbered::Record for Record {
    const FOLDER: &'static str = "system/suppression";

    fn writer(&self) -> &str {
        &self.writer
    }
}

impl numbered::Record for KeyRecord {
    const FOLDER: &'static str = "system/suppression/keys";
    const DIGITS: usize = 6;

    fn writer(&self) -> &str {
        &self.writer
    }
}
