//! The objects of the log, and those that say which keys there are.

use futures::{StreamExt, TryStreamExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::entry::Entry;
use crate::lake::Lake;
use crate::ledger::error::LedgerError;

const FOLDER: &str = "system/suppression";
const KEYS: &str = "system/suppression/keys";
/// Objects that are read at one time when a server starts.
const AT_ONCE: usize = 16;

/// One object: some erasures.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    /// Tells whose it is where the answer to its creation was lost.
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

/// The log of a lake. Its objects stay, numbered from 1 without a gap.
#[derive(Clone, Debug)]
pub(super) struct Log {
    lake: Lake,
}

impl Log {
    pub fn new(lake: Lake) -> Self {
        Self { lake }
    }

    /// The lake's location, for messages.
    pub fn location(&self) -> String {
        self.lake.location().to_string()
    }

    /// All objects behind this one, in their order; they are read some at a time.
    pub async fn behind(&self, number: u64) -> Result<Vec<Record>, LedgerError> {
        let names = self.lake.list_objects(FOLDER).await?;
        let numbers = names.iter().filter_map(|name| name.strip_suffix(".json")?.parse().ok());
        let last: u64 = numbers.max().unwrap_or_default();
        let gone = |number| Self::unreadable(number, "it is gone");
        let records = futures::stream::iter(
            (number + 1..=last)
                .map(async |number| self.read(number).await?.ok_or_else(|| gone(number))),
        );
        records.buffered(AT_ONCE).try_collect().await
    }

    /// An object; `None` if there is none.
    pub async fn read(&self, number: u64) -> Result<Option<Record>, LedgerError> {
        self.object(&path(number)).await
    }

    /// Creates an object; false if somebody else did.
    pub async fn create(&self, number: u64, record: &Record) -> Result<bool, LedgerError> {
        let path = path(number);
        if self.lake.create_object(&path, bytes(&path, record)?).await? {
            return Ok(true);
        }
        // Stores repeat a conditional write whose answer was lost, and then find their own.
        Ok(self.read(number).await?.is_some_and(|found| found.writer == record.writer))
    }

    /// The check values of the keys that entries may be under.
    pub async fn keys(&self) -> Result<Vec<String>, LedgerError> {
        let mut keys = Vec::new();
        while let Some(KeyRecord { key, .. }) = self.object(&key_path(keys.len() + 1)).await? {
            keys.push(key);
        }
        Ok(keys)
    }

    /// Says that entries may be under a key, behind those that are known; false if somebody else was
    /// first with another.
    pub async fn add_key(&self, known: usize, record: &KeyRecord) -> Result<bool, LedgerError> {
        let path = key_path(known + 1);
        if self.lake.create_object(&path, bytes(&path, record)?).await? {
            return Ok(true);
        }
        let found: Option<KeyRecord> = self.object(&path).await?;
        Ok(found.is_some_and(|found| found.writer == record.writer))
    }

    /// What is wrong with an object.
    pub fn unreadable(number: u64, reason: &str) -> LedgerError {
        LedgerError::Unreadable { path: path(number), reason: reason.to_owned() }
    }

    async fn object<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, LedgerError> {
        let Some(bytes) = self.lake.read_object(path).await? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| LedgerError::Unreadable {
            path: path.to_owned(),
            reason: error.to_string(),
        })
    }
}

fn path(number: u64) -> String {
    format!("{FOLDER}/{number:020}.json")
}

fn key_path(number: usize) -> String {
    format!("{KEYS}/{number:06}.json")
}

fn bytes(path: &str, record: &impl Serialize) -> Result<Vec<u8>, LedgerError> {
    serde_json::to_vec(record).map_err(|error| LedgerError::Unreadable {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}
