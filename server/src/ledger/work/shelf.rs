//! Work as objects of the lake, so that every server knows it and any of them can go on with it.
//!
//! - `<folder>/open/<id>.json` is an order that somebody has to look after: creating it is the order,
//!   removing it the end.
//! - `<folder>/runs/<id>/asked.json` is the same order, for as long as the run is kept.
//! - `…/runs/<id>/at-<epoch>.json` is how far the holder of that epoch of the lease came; the highest
//!   epoch counts, and 0 is nobody's. `…/left-<epoch>` says that the holder left it to others and was well,
//!   `…/cancel` that somebody cancelled it.
//! - `<folder>/keys/<digest>.json` names the run that was asked for with a key.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::lake::Lake;
use crate::ledger::error::LedgerError;

const ASKED: &str = "asked.json";
const CANCEL: &str = "cancel";
const LEFT: &str = "left-";
/// What [`CANCEL`] says of work that cannot be cancelled.
const HELD: &[u8] = br#"{"held":true}"#;

/// What a key stands for.
#[derive(Debug, Serialize, Deserialize)]
struct Keyed {
    id: String,
    /// Of the body that it came with.
    body: String,
}

/// Work of one kind: `A` is what is asked for, `R` how far it is.
#[derive(Debug)]
pub(super) struct Shelf<A, R> {
    lake: Lake,
    folder: &'static str,
    kind: PhantomData<fn() -> (A, R)>,
}

/// Who took a run on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Attempts {
    /// How many holders of the lease.
    pub count: u32,
    /// How many of them left it to others and were well.
    pub left: u32,
    /// Whether somebody wants it cancelled.
    pub cancelled: bool,
}

impl Attempts {
    /// How many ended without a word.
    pub fn broken_off(self) -> u32 {
        self.count.saturating_sub(self.left)
    }
}

impl<A: Serialize + DeserializeOwned, R: Serialize + DeserializeOwned> Shelf<A, R> {
    /// The work of a kind, below a folder of the lake.
    pub fn new(lake: Lake, folder: &'static str) -> Self {
        Self { lake, folder, kind: PhantomData }
    }

    /// An id greater than those before it.
    pub fn id(&self) -> String {
        Uuid::now_v7().simple().to_string()
    }

    /// Whether a text can be an id.
    pub fn is_id(&self, text: &str) -> bool {
        text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    }

    /// Takes an order; one that is there already stays.
    pub async fn ask(&self, id: &str, asked: &A) -> Result<(), LedgerError> {
        let path = self.open_path(id);
        self.lake.create_object(&path, bytes(&path, asked)?).await?;
        Ok(())
    }

    /// Keeps an order for as long as its run.
    pub async fn keep(&self, id: &str, asked: &A) -> Result<(), LedgerError> {
        let path = self.path(id, ASKED);
        self.lake.create_object(&path, bytes(&path, asked)?).await?;
        Ok(())
    }

    /// The id that a key of somebody stands for: this one, if the key is new.
    ///
    /// # Errors
    /// [`LedgerError::KeyReused`] if it came with another body.
    pub async fn keyed(
        &self,
        principal: &str,
        key: &str,
        body: &impl Serialize,
        id: &str,
    ) -> Result<String, LedgerError> {
        let path = self.key_path(principal, key);
        let body = hex::encode(Sha256::digest(bytes(&path, body)?));
        let keyed = Keyed { id: id.to_owned(), body: body.clone() };
        if self.lake.create_object(&path, bytes(&path, &keyed)?).await? {
            return Ok(id.to_owned());
        }
        let found: Option<Keyed> = self.read(&path).await?;
        match found {
            Some(found) if found.body == body => Ok(found.id),
            _ => Err(LedgerError::KeyReused),
        }
    }

    /// The id that a key of somebody stands for, if it was used.
    ///
    /// # Errors
    /// [`LedgerError::KeyReused`] if it came with another body.
    pub async fn known(
        &self,
        principal: &str,
        key: &str,
        body: &impl Serialize,
    ) -> Result<Option<String>, LedgerError> {
        let path = self.key_path(principal, key);
        let body = hex::encode(Sha256::digest(bytes(&path, body)?));
        let found: Option<Keyed> = self.read(&path).await?;
        match found {
            Some(found) if found.body != body => Err(LedgerError::KeyReused),
            found => Ok(found.map(|found| found.id)),
        }
    }

    /// What was asked; `None` if there is no such run.
    pub async fn asked(&self, id: &str) -> Result<Option<A>, LedgerError> {
        match self.read(&self.path(id, ASKED)).await? {
            Some(asked) => Ok(Some(asked)),
            // Nobody took it on yet.
            None => self.read(&self.open_path(id)).await,
        }
    }

    /// How far it is by the newest holder, and who took it on but the holder of an epoch.
    pub async fn newest(&self, id: &str, own: u64) -> Result<(Option<R>, Attempts), LedgerError> {
        let names = self.lake.list_objects(&format!("{}/runs/{id}", self.folder)).await?;
        let epoch = |name: &String| name.strip_prefix("at-")?.strip_suffix(".json")?.parse().ok();
        let epochs: Vec<u64> = names.iter().filter_map(epoch).collect();
        let left = names.iter().filter(|name| name.starts_with(LEFT)).count();
        let cancelled = names.iter().any(|name| name == CANCEL) && self.is_cancelled(id).await?;
        // What is told by nobody's lease is no attempt.
        let taken = epochs.iter().filter(|epoch| **epoch > 0 && **epoch != own).count();
        let few = |count| u32::try_from(count).unwrap_or(u32::MAX);
        let run = match epochs.iter().max() {
            None => None,
            Some(epoch) => self.read(&self.path(id, &at(*epoch))).await?,
        };
        Ok((run, Attempts { count: few(taken), left: few(left), cancelled }))
    }

    /// Writes how far it is, as the holder of an epoch.
    pub async fn write(&self, id: &str, epoch: u64, run: &R) -> Result<(), LedgerError> {
        let path = self.path(id, &at(epoch));
        Ok(self.lake.put_object(&path, bytes(&path, run)?).await?)
    }

    /// Notes that the holder of an epoch leaves it to others, and is well.
    pub async fn leave(&self, id: &str, epoch: u64) -> Result<(), LedgerError> {
        let path = self.path(id, &format!("{LEFT}{epoch:010}"));
        self.lake.create_object(&path, b"{}".to_vec()).await?;
        Ok(())
    }

    /// Notes that somebody wants it cancelled; false if it cannot be any more.
    pub async fn cancel(&self, id: &str) -> Result<bool, LedgerError> {
        let cancelled = self.lake.create_object(&self.path(id, CANCEL), b"{}".to_vec()).await?;
        Ok(cancelled || self.is_cancelled(id).await?)
    }

    /// Notes that it cannot be cancelled any more; false if somebody cancelled it before.
    pub async fn hold(&self, id: &str) -> Result<bool, LedgerError> {
        let held = self.lake.create_object(&self.path(id, CANCEL), HELD.to_vec()).await?;
        Ok(held || !self.is_cancelled(id).await?)
    }

    /// Whether somebody wants it cancelled.
    pub async fn is_cancelled(&self, id: &str) -> Result<bool, LedgerError> {
        let said = self.lake.read_object(&self.path(id, CANCEL)).await?;
        Ok(said.is_some_and(|said| said != HELD))
    }

    /// Orders that somebody has to look after, oldest first.
    pub async fn open(&self) -> Result<Vec<String>, LedgerError> {
        let names = self.lake.list_objects(&format!("{}/open", self.folder)).await?;
        let ids = names.iter().filter_map(|name| name.strip_suffix(".json"));
        let mut ids: Vec<String> = ids.map(str::to_owned).collect();
        ids.sort();
        Ok(ids)
    }

    /// Nobody has to look after it any more.
    pub async fn close(&self, id: &str) -> Result<(), LedgerError> {
        Ok(self.lake.remove_object(&self.open_path(id)).await?)
    }

    /// All runs that are kept, newest first.
    pub async fn ids(&self) -> Result<Vec<String>, LedgerError> {
        let mut ids = self.lake.list_folders(&format!("{}/runs", self.folder)).await?;
        ids.extend(self.open().await?);
        ids.sort_by(|a, b| b.cmp(a));
        ids.dedup();
        Ok(ids)
    }

    /// Removes the runs that came before a moment and are not open, and keys that old. `created`
    /// says when a run came; all in epoch milliseconds.
    pub async fn sweep(&self, before: i64, created: impl Fn(&A) -> i64) -> Result<(), LedgerError> {
        let open = self.open().await?;
        // Oldest first: those behind the first that stays are younger.
        for id in self.ids().await?.into_iter().rev() {
            let asked = self.asked(&id).await?;
            if asked.as_ref().is_some_and(|asked| created(asked) >= before) {
                break;
            }
            if !open.contains(&id) {
                self.remove(&id).await?;
            }
        }
        let keys = format!("{}/keys", self.folder);
        for name in self.lake.list_objects_before(&keys, before).await? {
            self.lake.remove_object(&format!("{keys}/{name}")).await?;
        }
        Ok(())
    }

    /// Removes a run that is not open; false if it is.
    pub async fn forget(&self, id: &str) -> Result<bool, LedgerError> {
        if !self.is_id(id) || self.open().await?.iter().any(|open| open == id) {
            return Ok(false);
        }
        self.remove(id).await?;
        Ok(true)
    }

    async fn remove(&self, id: &str) -> Result<(), LedgerError> {
        Ok(self.lake.remove_folder(&format!("{}/runs/{id}", self.folder), ASKED).await?)
    }

    fn key_path(&self, principal: &str, key: &str) -> String {
        let mut digest = Sha256::new();
        digest.update((principal.len() as u64).to_le_bytes());
        digest.update(principal.as_bytes());
        digest.update(key.as_bytes());
        format!("{}/keys/{}.json", self.folder, hex::encode(digest.finalize()))
    }

    fn open_path(&self, id: &str) -> String {
        format!("{}/open/{id}.json", self.folder)
    }

    fn path(&self, id: &str, name: &str) -> String {
        format!("{}/runs/{id}/{name}", self.folder)
    }

    async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, LedgerError> {
        let Some(bytes) = self.lake.read_object(path).await? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| unreadable(path, &error))
    }
}

fn at(epoch: u64) -> String {
    format!("at-{epoch:010}.json")
}

fn bytes<T: Serialize>(path: &str, value: &T) -> Result<Vec<u8>, LedgerError> {
    serde_json::to_vec(value).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &str, error: &serde_json::Error) -> LedgerError {
    LedgerError::Unreadable { path: path.to_owned(), reason: error.to_string() }
}
