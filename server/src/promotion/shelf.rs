//! The objects of runs in the lake.
//!
//! - `system/promotions/open/<id>.json` is an order that somebody has to look after: creating it is
//!   the order, removing it the end.
//! - `system/promotions/runs/<id>/asked.json` is the same order, for as long as the run is kept.
//! - `…/runs/<id>/at-<epoch>.json` is how far the holder of that epoch of the lease came; the highest
//!   epoch counts. `…/runs/<id>/cancel` is there when somebody cancelled it.
//! - `system/promotions/keys/<digest>.json` names the run that was asked for with a key.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use stedi_openapi::{PromotionCause, PromotionInfo};
use uuid::Uuid;

use super::error::PromotionError;
use crate::lake::Lake;

const RUNS: &str = "system/promotions/runs";
const OPEN: &str = "system/promotions/open";
const KEYS: &str = "system/promotions/keys";
const ASKED: &str = "asked.json";
const CANCEL: &str = "cancel";

/// What was asked, by whom.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Asked {
    /// The tables, in dependency order.
    pub tables: Vec<String>,
    pub cause: PromotionCause,
    pub principal: String,
    pub roles: Vec<String>,
    pub request_id: Option<String>,
    /// Epoch milliseconds.
    pub created: i64,
}

/// What a key stands for.
#[derive(Debug, Serialize, Deserialize)]
struct Keyed {
    id: String,
    /// Of the body that it came with.
    body: String,
}

/// Where runs are kept.
#[derive(Clone, Debug)]
pub(super) struct Shelf {
    lake: Lake,
}

impl Shelf {
    pub fn new(lake: Lake) -> Self {
        Self { lake }
    }

    /// An id greater than those before it.
    pub fn id() -> String {
        Uuid::now_v7().simple().to_string()
    }

    /// Takes an order; one that is there already stays.
    pub async fn ask(&self, id: &str, asked: &Asked) -> Result<(), PromotionError> {
        let path = open(id);
        self.lake.create_object(&path, bytes(&path, asked)?).await?;
        Ok(())
    }

    /// Keeps an order for as long as its run.
    pub async fn keep(&self, id: &str, asked: &Asked) -> Result<(), PromotionError> {
        let path = path(id, ASKED);
        self.lake.create_object(&path, bytes(&path, asked)?).await?;
        Ok(())
    }

    /// The id that a key of somebody stands for: this one, if the key is new.
    ///
    /// # Errors
    /// [`PromotionError::KeyReused`] if it came with another body.
    pub async fn keyed(
        &self,
        principal: &str,
        key: &str,
        body: &str,
        id: &str,
    ) -> Result<String, PromotionError> {
        let mut digest = Sha256::new();
        digest.update((principal.len() as u64).to_le_bytes());
        digest.update(principal.as_bytes());
        digest.update(key.as_bytes());
        let path = format!("{KEYS}/{}.json", hex::encode(digest.finalize()));
        let body = hex::encode(Sha256::digest(body.as_bytes()));
        let keyed = Keyed { id: id.to_owned(), body: body.clone() };
        if self.lake.create_object(&path, bytes(&path, &keyed)?).await? {
            return Ok(id.to_owned());
        }
        let found: Option<Keyed> = self.read(&path).await?;
        match found {
            Some(found) if found.body == body => Ok(found.id),
            _ => Err(PromotionError::KeyReused),
        }
    }

    /// What was asked.
    pub async fn asked(&self, id: &str) -> Result<Option<Asked>, PromotionError> {
        match self.read(&path(id, ASKED)).await? {
            Some(asked) => Ok(Some(asked)),
            // Nobody took it on yet.
            None => self.read(&open(id)).await,
        }
    }

    /// How far it is by the newest holder, and whether it was cancelled.
    pub async fn newest(
        &self,
        id: &str,
    ) -> Result<(Option<PromotionInfo>, Attempts), PromotionError> {
        let names = self.lake.list_objects(&format!("{RUNS}/{id}")).await?;
        let epoch = |name: &String| name.strip_prefix("at-")?.strip_suffix(".json")?.parse().ok();
        let epochs: Vec<u64> = names.iter().filter_map(epoch).collect();
        let cancelled = names.iter().any(|name| name == CANCEL);
        let count = u32::try_from(epochs.len()).unwrap_or(u32::MAX);
        let run = match epochs.iter().max() {
            None => None,
            Some(epoch) => self.read(&path(id, &at(*epoch))).await?,
        };
        Ok((run, Attempts { count, cancelled }))
    }

    pub async fn write(
        &self,
        id: &str,
        epoch: u64,
        run: &PromotionInfo,
    ) -> Result<(), PromotionError> {
        let path = path(id, &at(epoch));
        Ok(self.lake.put_object(&path, bytes(&path, run)?).await?)
    }

    /// Notes that somebody wants it cancelled.
    pub async fn cancel(&self, id: &str) -> Result<(), PromotionError> {
        self.lake.create_object(&path(id, CANCEL), b"{}".to_vec()).await?;
        Ok(())
    }

    pub async fn is_cancelled(&self, id: &str) -> Result<bool, PromotionError> {
        Ok(self.lake.read_object(&path(id, CANCEL)).await?.is_some())
    }

    /// Runs that somebody has to look after, oldest first.
    pub async fn open(&self) -> Result<Vec<String>, PromotionError> {
        let names = self.lake.list_objects(OPEN).await?;
        let ids = names.iter().filter_map(|name| name.strip_suffix(".json"));
        let mut ids: Vec<String> = ids.map(str::to_owned).collect();
        ids.sort();
        Ok(ids)
    }

    /// Nobody has to look after it any more.
    pub async fn close(&self, id: &str) -> Result<(), PromotionError> {
        Ok(self.lake.remove_object(&open(id)).await?)
    }

    /// All runs that are kept, newest first.
    pub async fn ids(&self) -> Result<Vec<String>, PromotionError> {
        let mut ids = self.lake.list_folders(RUNS).await?;
        ids.extend(self.open().await?);
        ids.sort_by(|a, b| b.cmp(a));
        ids.dedup();
        Ok(ids)
    }

    /// Removes a run.
    pub async fn remove(&self, id: &str) -> Result<(), PromotionError> {
        Ok(self.lake.remove_folder(&format!("{RUNS}/{id}"), ASKED).await?)
    }

    /// Removes the keys that came before a moment, in epoch milliseconds.
    pub async fn remove_keys(&self, before: i64) -> Result<(), PromotionError> {
        for name in self.lake.list_objects_before(KEYS, before).await? {
            self.lake.remove_object(&format!("{KEYS}/{name}")).await?;
        }
        Ok(())
    }

    async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, PromotionError> {
        let Some(bytes) = self.lake.read_object(path).await? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| unreadable(path, &error))
    }
}

/// Who took a run on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Attempts {
    /// How many holders of the lease.
    pub count: u32,
    /// Whether somebody wants it cancelled.
    pub cancelled: bool,
}

fn open(id: &str) -> String {
    format!("{OPEN}/{id}.json")
}

fn path(id: &str, name: &str) -> String {
    format!("{RUNS}/{id}/{name}")
}

fn at(epoch: u64) -> String {
    format!("at-{epoch:010}.json")
}

fn bytes<T: Serialize>(path: &str, value: &T) -> Result<Vec<u8>, PromotionError> {
    serde_json::to_vec(value).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &str, error: &serde_json::Error) -> PromotionError {
    PromotionError::Unreadable { path: path.to_owned(), reason: error.to_string() }
}
