//! The objects that snapshots are kept as.
//!
//! `records/<id>.json` is a snapshot; `index/<created>-<id>` says that it is there, in their order;
//! `names/<name>.json` and `keys/<key>.json` say which one is meant; `recipients/<id>/` who got
//! something of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use stedi_openapi::Manifest;

use super::error::SnapshotError;
use super::recent::Recent;
use crate::lake::{Lake, LakeError};
use crate::ledger::Seen;

const FOLDER: &str = "system/snapshots";

/// A snapshot as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// What it says of itself.
    pub manifest: Manifest,
    /// Where each file lies below the lake's root, by digest.
    pub files: BTreeMap<String, String>,
    /// The pins of its files, the newest last; files of its own lie in folders of these names.
    pub(super) pins: Vec<String>,
    /// Requests whose customers are in none of its files, although its tables are older than that.
    pub(super) cleared: BTreeSet<String>,
    /// Those for which it took the place of another.
    pub(super) redacted_for: BTreeSet<String>,
}

impl Record {
    /// Its tables and their versions.
    pub fn seen(&self) -> Vec<Seen> {
        let tables = self.manifest.tables.iter();
        let seen = tables.map(|table| Seen {
            table: table.table.clone(),
            version: table.version,
            received: false,
        });
        seen.collect()
    }
}

/// Which snapshot an `Idempotency-Key` made.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keyed {
    /// A digest of what was asked for.
    pub body: String,
    pub id: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    id: String,
}

/// The objects of a lake's snapshots.
#[derive(Clone, Debug)]
pub(super) struct Shelf {
    lake: Lake,
    recent: Arc<Recent>,
}

impl Shelf {
    pub fn new(lake: Lake) -> Self {
        let recent = Arc::new(Recent::new(lake.staleness()));
        Self { lake, recent }
    }

    pub async fn get(&self, id: &str) -> Result<Option<Record>, SnapshotError> {
        self.read(&format!("records/{id}.json")).await
    }

    /// The same, as it was a moment ago and not before this entry of the deny list.
    pub async fn recent(&self, id: &str, seq: u64) -> Result<Option<Arc<Record>>, SnapshotError> {
        if let Some(known) = self.recent.get(id, seq) {
            return Ok(Some(known));
        }
        let read = Instant::now();
        let record = self.get(id).await?.map(Arc::new);
        if let Some(record) = &record {
            self.recent.keep(Arc::clone(record), seq, read);
        }
        Ok(record)
    }

    /// Writes a record, and that it is there; a redacted one is not listed.
    pub async fn put(&self, record: &Record) -> Result<(), SnapshotError> {
        let manifest = &record.manifest;
        self.write(&format!("records/{}.json", manifest.id), record).await?;
        self.recent.forget(&manifest.id);
        let entry = entry(manifest);
        match manifest.superseded_by {
            None => Ok(self.lake.put_object(&entry, Vec::new()).await?),
            Some(_) => Ok(self.lake.remove_object(&entry).await?),
        }
    }

    /// Removes a record; first that it is there.
    pub async fn remove(&self, record: &Record) -> Result<(), SnapshotError> {
        let manifest = &record.manifest;
        self.lake.remove_object(&entry(manifest)).await?;
        if let Some(name) = &manifest.name {
            self.lake.remove_object(&format!("{FOLDER}/names/{name}.json")).await?;
        }
        self.lake.remove_object(&format!("{FOLDER}/records/{}.json", manifest.id)).await?;
        self.recent.forget(&manifest.id);
        Ok(())
    }

    /// Ids of those that are there, newest first, with their places in that order.
    pub async fn index(&self) -> Result<Vec<(String, String)>, SnapshotError> {
        let mut names = self.lake.list_objects(&format!("{FOLDER}/index")).await?;
        names.sort_by(|a, b| b.cmp(a));
        let split = |name: String| {
            let id = name.split_once('-').map(|(_, id)| id.to_owned())?;
            Some((id, name))
        };
        Ok(names.into_iter().filter_map(split).collect())
    }

    /// Gives a snapshot a name; false if another has it.
    pub async fn name(&self, name: &str, id: &str) -> Result<bool, SnapshotError> {
        let bytes = encoded(&Named { id: id.to_owned() })?;
        Ok(self.lake.create_object(&format!("{FOLDER}/names/{name}.json"), bytes).await?)
    }

    /// Lets a name mean another snapshot.
    pub async fn rename(&self, name: &str, id: &str) -> Result<(), SnapshotError> {
        self.write(&format!("names/{name}.json"), &Named { id: id.to_owned() }).await
    }

    /// The id that a name means.
    pub async fn named(&self, name: &str) -> Result<Option<String>, SnapshotError> {
        let named: Option<Named> = self.read(&format!("names/{name}.json")).await?;
        Ok(named.map(|named| named.id))
    }

    /// What a key made.
    pub async fn keyed(&self, key: &str) -> Result<Option<Keyed>, SnapshotError> {
        self.read(&format!("keys/{key}.json")).await
    }

    /// Remembers what a key made; false if it made something already.
    pub async fn key(&self, key: &str, keyed: &Keyed) -> Result<bool, SnapshotError> {
        let path = format!("{FOLDER}/keys/{key}.json");
        Ok(self.lake.create_object(&path, encoded(keyed)?).await?)
    }

    /// Remembers that somebody got something of a snapshot.
    pub async fn received(&self, id: &str, mark: &str, who: &str) -> Result<(), SnapshotError> {
        let path = format!("{FOLDER}/recipients/{id}/{mark}.json");
        self.lake.create_object(&path, encoded(&who)?).await?;
        Ok(())
    }

    /// Who got something of a snapshot.
    pub async fn recipients(&self, id: &str) -> Result<BTreeSet<String>, SnapshotError> {
        let folder = format!("recipients/{id}");
        let mut all = BTreeSet::new();
        for name in self.lake.list_objects(&format!("{FOLDER}/{folder}")).await? {
            all.extend(self.read::<String>(&format!("{folder}/{name}")).await?);
        }
        Ok(all)
    }

    async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, SnapshotError> {
        let path = format!("{FOLDER}/{path}");
        let Some(bytes) = self.lake.read_object(&path).await? else { return Ok(None) };
        let value = serde_json::from_slice(&bytes);
        let unreadable =
            |error: serde_json::Error| LakeError::Unreadable { path, reason: error.to_string() };
        Ok(Some(value.map_err(unreadable)?))
    }

    async fn write<T: Serialize>(&self, path: &str, value: &T) -> Result<(), SnapshotError> {
        Ok(self.lake.put_object(&format!("{FOLDER}/{path}"), encoded(value)?).await?)
    }
}

fn encoded<T: Serialize>(value: &T) -> Result<Vec<u8>, SnapshotError> {
    serde_json::to_vec(value).map_err(|error| SnapshotError::Manifest(error.to_string()))
}

/// Where it says that a snapshot is there; sorted as they were made.
fn entry(manifest: &Manifest) -> String {
    format!("{FOLDER}/index/{:015}-{}", manifest.created, manifest.id)
}
