//! The suppression list as a server knows it, and as it grows.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures::TryStreamExt;
use uuid::Uuid;

use super::entry::{Entry, Suppressed};
use super::list::{NotRead, SuppressionList};
use super::log::{KeyRecord, Record};
use super::ring::Ring;
use crate::lake::Lake;
use crate::ledger::error::LedgerError;
use crate::ledger::numbered::Numbered;

/// How often a change is tried again that others got in the way of.
const ATTEMPTS: usize = 100;

/// The suppression list of a lake; clones are the same.
#[derive(Clone, Debug)]
pub struct Suppression(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    log: Numbered<Record>,
    /// Says which keys there are.
    keys: Numbered<KeyRecord>,
    /// The file of the keys.
    file: PathBuf,
    known: Mutex<Arc<SuppressionList>>,
    /// One look at the log at a time, under the ring as it was last read.
    turn: tokio::sync::Mutex<Arc<Ring>>,
}

impl Suppression {
    /// Reads the list of a lake under the keys of a file, which is made for a new lake. The lake holds
    /// the check values of all keys.
    ///
    /// # Errors
    /// [`LedgerError::MissingRingKey`] if a key of the lake is not in the file.
    pub async fn open(lake: &Lake, file: &Path) -> Result<Self, LedgerError> {
        let (log, keys) = (Numbered::new(lake), Numbered::new(lake));
        let ring = match (Ring::read(file)?, keys.read(1).await?) {
            (Some(ring), _) => ring,
            (None, None) => Ring::read_or_make(file)?,
            (None, Some(first)) => return Err(missing(&keys, file, &first.key)),
        };
        register(&keys, file, &ring).await?;
        let all = log.each(1, log.newest().await?).try_collect().await?;
        let mut ring = Arc::new(ring);
        let inner = Inner {
            log,
            keys,
            file: file.to_owned(),
            known: Mutex::default(),
            turn: tokio::sync::Mutex::new(Arc::clone(&ring)),
        };
        inner.take(&mut ring, &SuppressionList::default(), all).await?;
        Ok(Self(Arc::new(inner)))
    }

    /// Adds a new key to the file of a server; entries are made under it from then on. Its check value.
    ///
    /// # Errors
    /// [`LedgerError::RingFile`]
    pub fn add_key(file: &Path) -> Result<String, LedgerError> {
        Ring::add(file)
    }

    /// The list as it is now. It costs one request to the store if there is no news.
    ///
    /// # Errors
    /// If the lake cannot be read, or an entry is under a key that the file does not have.
    pub async fn newest(&self) -> Result<Arc<SuppressionList>, LedgerError> {
        let mut ring = self.0.turn.lock().await;
        self.0.read(&mut ring).await
    }

    /// The list as it is now, which must reach up to this object.
    ///
    /// # Errors
    /// Also [`LedgerError::ListLost`] if it does not.
    pub async fn at_least(&self, number: u64) -> Result<Arc<SuppressionList>, LedgerError> {
        let list = self.newest().await?;
        match list.number() < number {
            true => Err(LedgerError::ListLost { found: list.number(), expected: number }),
            false => Ok(list),
        }
    }

    /// Adds erased customers, and gives the number of the list that has all of them. A request that is
    /// in it stays as it is. Whoever reads the list from then on keeps their records out.
    ///
    /// # Errors
    /// If the lake cannot be read or written. The entries may be there all the same; asked again, it
    /// finds them.
    pub async fn add(&self, suppressed: &[Suppressed]) -> Result<u64, LedgerError> {
        let inner = &self.0;
        let mut ring = inner.turn.lock().await;
        for _ in 0..ATTEMPTS {
            let list = inner.read(&mut ring).await?;
            let new = suppressed.iter().filter(|new| list.request(&new.request).is_none());
            let new: Vec<&Suppressed> = new.collect();
            if new.is_empty() {
                let numbers = suppressed.iter().filter_map(|one| list.request(&one.request));
                return Ok(numbers.max().unwrap_or_default());
            }
            // An operator may have added a key meanwhile.
            inner.reread(&mut ring)?;
            register(&inner.keys, &inner.file, &ring).await?;
            let Some(key) = ring.newest() else { continue };
            let entries = new.iter().map(|one| Entry::new(one, key)).collect();
            let record = Record { writer: writer(), entries };
            inner.log.create(list.number() + 1, &record).await?;
        }
        Err(LedgerError::Contended)
    }
}

impl Inner {
    /// Reads what is new in the log.
    async fn read(&self, ring: &mut Arc<Ring>) -> Result<Arc<SuppressionList>, LedgerError> {
        let list = Arc::clone(&self.known.lock().unwrap_or_else(PoisonError::into_inner));
        let news = Vec::from_iter(self.log.read(list.number() + 1).await?);
        match news.is_empty() {
            true => Ok(list),
            false => self.take(ring, &list, news).await,
        }
    }

    /// Takes in what was read of the log, and what is behind it.
    async fn take(
        &self,
        ring: &mut Arc<Ring>,
        list: &SuppressionList,
        mut news: Vec<Record>,
    ) -> Result<Arc<SuppressionList>, LedgerError> {
        let mut all = list.clone();
        while !news.is_empty() {
            for Record { entries, .. } in news {
                let number = all.number() + 1;
                // The key may be newer than what is known of the file.
                if entries.iter().any(|entry| ring.key(&entry.key).is_none()) {
                    self.reread(ring)?;
                }
                all = all.with(&entries, ring).map_err(|error| match error {
                    NotRead::NoKey(id) => missing(&self.keys, &self.file, &id),
                    NotRead::NoHash => self.log.unreadable(number, "it holds what is not a hash"),
                })?;
            }
            news = Vec::from_iter(self.log.read(all.number() + 1).await?);
        }
        let list = Arc::new(all);
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&list);
        Ok(list)
    }

    fn reread(&self, ring: &mut Arc<Ring>) -> Result<(), LedgerError> {
        if let Some(now) = Ring::read(&self.file)? {
            *ring = Arc::new(now);
        }
        Ok(())
    }
}

/// Sees to it that the lake knows all keys of a ring, which must have all that the lake knows.
async fn register(keys: &Numbered<KeyRecord>, file: &Path, ring: &Ring) -> Result<(), LedgerError> {
    let mut known = Vec::new();
    for _ in 0..ATTEMPTS {
        while let Some(KeyRecord { key, .. }) = keys.read(known.len() as u64 + 1).await? {
            known.push(key);
        }
        if let Some(id) = known.iter().find(|id| ring.key(id).is_none()) {
            return Err(missing(keys, file, id));
        }
        let new = ring.ids().find(|id| !known.iter().any(|known| known == id));
        let Some(new) = new else { return Ok(()) };
        let record = KeyRecord { writer: writer(), key: new.to_owned() };
        keys.create(known.len() as u64 + 1, &record).await?;
    }
    Err(LedgerError::Contended)
}

fn missing(keys: &Numbered<KeyRecord>, file: &Path, id: &str) -> LedgerError {
    let (file, lake) = (file.to_owned(), keys.location());
    LedgerError::MissingRingKey { file, lake, expected: id.to_owned() }
}

fn writer() -> String {
    Uuid::new_v4().simple().to_string()
}
