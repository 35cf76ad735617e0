//! The objects of the log.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt;
use serde::{Deserialize, Serialize};

use super::entry::Denied;
use super::list::DenyList;
use crate::ledger::error::LedgerError;
use crate::ledger::numbered::{self, Numbered};

/// One object.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    pub writer: String,
    /// The first object that is still needed: whoever reads the log begins there.
    pub base: u64,
    pub what: What,
}

/// What an object says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum What {
    /// The rows of these are denied. The only objects with pseudonyms; those that are lifted are
    /// taken out again.
    Deny(Vec<Denied>),
    /// From these versions on the rows of these requests are gone.
    Gone { requests: BTreeSet<String>, versions: BTreeMap<String, u64> },
    /// These requests need no entry any more.
    Lift(BTreeSet<String>),
}

impl numbered::Record for Record {
    const FOLDER: &'static str = "system/deny";

    fn writer(&self) -> &str {
        &self.writer
    }
}

/// The list by all objects that there are.
pub(super) async fn all(log: &Numbered<Record>) -> Result<DenyList, LedgerError> {
    let last = log.newest().await?;
    if last == 0 {
        return Ok(DenyList::default());
    }
    let base = log.needed(last).await?.base.clamp(1, last + 1);
    let begin = DenyList::behind(base - 1);
    log.each(base, last).try_fold(begin, async |list, record| Ok(list.with(record))).await
}
