//! The objects of the log.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use super::entry::Denied;
use super::list::DenyList;
use crate::lake::Lake;
use crate::ledger::error::LedgerError;

const FOLDER: &str = "system/deny";
/// Objects that are read at one time when a server starts.
const AT_ONCE: usize = 16;

/// One object.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    /// Tells whose it is where the answer to its creation was lost.
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

/// The log of a lake. Its objects stay, numbered without a gap, so that "there is no next one" always
/// means that there is no news, however long somebody did not look.
#[derive(Clone, Debug)]
pub(super) struct Log {
    lake: Lake,
}

impl Log {
    pub fn new(lake: Lake) -> Self {
        Self { lake }
    }

    /// The list by all objects that there are.
    pub async fn all(&self) -> Result<DenyList, LedgerError> {
        let names = self.lake.list_objects(FOLDER).await?;
        let number = |name: &String| name.strip_suffix(".json")?.parse::<u64>().ok();
        let Some(last) = names.iter().filter_map(number).max() else {
            return Ok(DenyList::default());
        };
        let base = self.needed(last).await?.base.clamp(1, last + 1);
        let records = futures::stream::iter((base..=last).map(|seq| self.needed(seq)));
        records
            .buffered(AT_ONCE)
            .try_fold(
                DenyList::behind(base - 1),
                |list, record| async move { Ok(list.with(record)) },
            )
            .await
    }

    /// An object; `None` if there is none.
    pub async fn read(&self, seq: u64) -> Result<Option<Record>, LedgerError> {
        let path = path(seq);
        let Some(bytes) = self.lake.read_object(&path).await? else { return Ok(None) };
        let record = serde_json::from_slice(&bytes);
        record
            .map(Some)
            .map_err(|error| LedgerError::Unreadable { path, reason: error.to_string() })
    }

    async fn needed(&self, seq: u64) -> Result<Record, LedgerError> {
        let gone = || LedgerError::Unreadable { path: path(seq), reason: "it is gone".to_owned() };
        self.read(seq).await?.ok_or_else(gone)
    }

    /// Creates an object; false if somebody else did.
    pub async fn create(&self, seq: u64, record: &Record) -> Result<bool, LedgerError> {
        let path = path(seq);
        if self.lake.create_object(&path, bytes(&path, record)?).await? {
            return Ok(true);
        }
        // Stores repeat a conditional write whose answer was lost, and then find their own.
        Ok(self.read(seq).await?.is_some_and(|found| found.writer == record.writer))
    }

    /// Writes an object in the place of the one that is there.
    pub async fn replace(&self, seq: u64, record: &Record) -> Result<(), LedgerError> {
        let path = path(seq);
        Ok(self.lake.put_object(&path, bytes(&path, record)?).await?)
    }
}

fn path(seq: u64) -> String {
    format!("{FOLDER}/{seq:020}.json")
}

fn bytes(path: &str, record: &Record) -> Result<Vec<u8>, LedgerError> {
    serde_json::to_vec(record).map_err(|error| LedgerError::Unreadable {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}
