//! A log of objects in one folder, each created once, numbered from 1 without a gap: "there is no next
//! one" always means that there is no news, however long somebody did not look.

use std::marker::PhantomData;

use futures::{Stream, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::LedgerError;
use crate::lake::Lake;

/// Objects that are read at one time when a server starts.
const AT_ONCE: usize = 16;

/// An object of such a log.
pub(super) trait Record: Serialize + DeserializeOwned {
    /// Where they are.
    const FOLDER: &'static str;
    /// Digits of their numbers.
    const DIGITS: usize = 20;

    /// Tells whose it is where the answer to its creation was lost.
    fn writer(&self) -> &str;
}

/// The log of a lake.
#[derive(Clone, Debug)]
pub(super) struct Numbered<R> {
    lake: Lake,
    of: PhantomData<fn() -> R>,
}

impl<R: Record> Numbered<R> {
    /// That of a lake.
    pub fn new(lake: &Lake) -> Self {
        Self { lake: lake.clone(), of: PhantomData }
    }

    /// The lake's location, for messages.
    pub fn location(&self) -> String {
        self.lake.location().to_string()
    }

    /// The number of the newest object; 0 if there is none.
    pub async fn newest(&self) -> Result<u64, LedgerError> {
        let names = self.lake.list_objects(R::FOLDER).await?;
        let numbers = names.iter().filter_map(|name| name.strip_suffix(".json")?.parse().ok());
        Ok(numbers.max().unwrap_or_default())
    }

    /// An object; `None` if there is none.
    pub async fn read(&self, number: u64) -> Result<Option<R>, LedgerError> {
        let Some(bytes) = self.lake.read_object(&path::<R>(number)).await? else { return Ok(None) };
        let record = serde_json::from_slice(&bytes);
        record.map(Some).map_err(|error| self.unreadable(number, &error.to_string()))
    }

    /// An object that must be there.
    pub async fn needed(&self, number: u64) -> Result<R, LedgerError> {
        self.read(number).await?.ok_or_else(|| self.unreadable(number, "it is gone"))
    }

    /// Objects from one to another, in their order; they are read some at a time.
    pub fn each(&self, from: u64, to: u64) -> impl Stream<Item = Result<R, LedgerError>> {
        futures::stream::iter((from..=to).map(|number| self.needed(number))).buffered(AT_ONCE)
    }

    /// Creates an object; false if somebody else did.
    pub async fn create(&self, number: u64, record: &R) -> Result<bool, LedgerError> {
        if self.lake.create_object(&path::<R>(number), self.bytes(number, record)?).await? {
            return Ok(true);
        }
        // Stores repeat a conditional write whose answer was lost, and then find their own.
        Ok(self.read(number).await?.is_some_and(|found| found.writer() == record.writer()))
    }

    /// Writes an object in the place of the one that is there.
    pub async fn replace(&self, number: u64, record: &R) -> Result<(), LedgerError> {
        Ok(self.lake.put_object(&path::<R>(number), self.bytes(number, record)?).await?)
    }

    /// What is wrong with an object.
    pub fn unreadable(&self, number: u64, reason: &str) -> LedgerError {
        LedgerError::Unreadable { path: path::<R>(number), reason: reason.to_owned() }
    }

    fn bytes(&self, number: u64, record: &R) -> Result<Vec<u8>, LedgerError> {
        serde_json::to_vec(record).map_err(|error| self.unreadable(number, &error.to_string()))
    }
}

fn path<R: Record>(number: u64) -> String {
    format!("{}/{number:0digits$}.json", R::FOLDER, digits = R::DIGITS)
}
