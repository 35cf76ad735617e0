//! Takes orders for snapshots, and says what there is.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::Utc;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use stedi_openapi::{Manifest, SnapshotInfo, SnapshotRequest};

use super::create::OWN;
use super::error::SnapshotError;
use super::measure;
use super::redact::concerned;
use super::shelf::{Keyed, Record, Shelf};
use super::splits::Splits;
use crate::lake::{Lake, Part};
use crate::ledger::{Deny, DenyList, Pinned, Reading, SubjectKey};
use crate::pipeline::{Class, Declared, Pipeline, Sight, Zone};

/// The word for the newest snapshot.
const LATEST: &str = "latest";
/// Characters of a name.
const NAME: usize = 64;

/// The snapshots of a lake; clones are the same.
#[derive(Clone, Debug)]
pub struct Snapshots {
    pub(super) inner: Arc<Inner>,
}

/// How snapshots are made and given.
#[derive(Clone, Copy, Debug, Default)]
pub struct SnapshotsRules {
    /// Whether one is made after each promotion that succeeded.
    pub after_promotion: bool,
    /// How long URLs of the store hold that may be given instead of the bytes; zero: none are.
    pub redirect: Duration,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub rules: SnapshotsRules,
    pub lake: Lake,
    pub pipeline: Arc<Pipeline>,
    pub pipeline_digest: String,
    pub deny: Deny,
    pub pinned: Pinned,
    pub splits: Splits,
    pub shelf: Shelf,
    /// Marks keys and recipients.
    marks: Marks,
    /// Recipients that this server knows to be on record.
    known: Mutex<BTreeSet<(String, String)>>,
}

struct Marks(Hmac<Sha256>);

impl std::fmt::Debug for Marks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Marks")
    }
}

impl Marks {
    fn of(&self, parts: &[&str]) -> String {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part.as_bytes());
        }
        hex::encode(&mac.finalize().into_bytes()[..16])
    }
}

impl Snapshots {
    /// The snapshots of a lake's pipeline.
    pub fn new(
        lake: Lake,
        pipeline: Arc<Pipeline>,
        key: &SubjectKey,
        deny: Deny,
        rules: SnapshotsRules,
    ) -> Self {
        let mut digest = Sha256::new();
        for table in &pipeline.derived {
            digest.update(table.name.as_bytes());
            digest.update(table.definition(&pipeline.options, key.id()).to_le_bytes());
        }
        let inner = Inner {
            rules,
            pipeline_digest: hex::encode(digest.finalize()),
            pinned: Pinned::new(lake.clone()),
            splits: Splits::new(key, pipeline.snapshot.splits.clone()),
            shelf: Shelf::new(lake.clone()),
            marks: Marks(key.derived("snapshots")),
            known: Mutex::default(),
            lake,
            pipeline,
            deny,
        };
        Self { inner: Arc::new(inner) }
    }

    /// How they are made and given.
    pub fn rules(&self) -> &SnapshotsRules {
        &self.inner.rules
    }

    /// Makes a snapshot of tables that somebody sees. With a key, the same request of the same
    /// principal is one.
    ///
    /// # Errors
    /// [`SnapshotError::Name`], [`SnapshotError::NameTaken`], [`SnapshotError::UnknownTable`],
    /// [`SnapshotError::KeyReused`], [`SnapshotError::Redacting`] while a consent that ended is not
    /// in the tables yet.
    pub async fn create(
        &self,
        by: &str,
        sight: &Sight,
        request: &SnapshotRequest,
        key: Option<&str>,
    ) -> Result<Manifest, SnapshotError> {
        let body = serde_json::to_string(request).unwrap_or_default();
        let body = self.inner.marks.of(&["body", &body]);
        let key = key.map(|key| self.inner.marks.of(&["key", by, key]));
        if let Some(key) = &key
            && let Some(known) = self.inner.shelf.keyed(key).await?
        {
            return self.of_key(&known, &body).await;
        }
        if request.name.as_ref().is_some_and(|name| !is_name(name)) {
            return Err(SnapshotError::Name);
        }
        let tables = self.tables(sight, &request.tables)?;
        let record = self.make(&tables, request.name.as_deref(), by).await?;
        if let Some(key) = key {
            let keyed = Keyed { body: body.clone(), id: record.manifest.id.clone() };
            if !self.inner.shelf.key(&key, &keyed).await?
                && let Some(known) = self.inner.shelf.keyed(&key).await?
            {
                self.drop_record(&record).await?;
                return self.of_key(&known, &body).await;
            }
        }
        let manifest = &record.manifest;
        let rows: u64 = manifest.tables.iter().map(|table| table.rows).sum();
        tracing::info!(snapshot = manifest.id, rows, "made");
        Ok(record.manifest)
    }

    /// Whether a key made a snapshot.
    pub(super) async fn has_made(&self, by: &str, key: &str) -> Result<bool, SnapshotError> {
        let key = self.inner.marks.of(&["key", by, key]);
        Ok(self.inner.shelf.keyed(&key).await?.is_some())
    }

    async fn of_key(&self, keyed: &Keyed, body: &str) -> Result<Manifest, SnapshotError> {
        if keyed.body != body {
            return Err(SnapshotError::KeyReused);
        }
        let record = self.inner.shelf.get(&keyed.id).await?;
        Ok(record.ok_or_else(|| SnapshotError::Unknown(keyed.id.clone()))?.manifest)
    }

    /// The declared tables of these names, or those of a snapshot that names none.
    fn tables(&self, sight: &Sight, names: &[String]) -> Result<Vec<Declared>, SnapshotError> {
        let declared = self.inner.pipeline.tables();
        let wanted: BTreeSet<&String> = match names.is_empty() {
            true => self.inner.pipeline.snapshot.tables.iter().collect(),
            false => names.iter().collect(),
        };
        let found = wanted.into_iter().map(|name| {
            let seen = |table: &&Declared| table.name == *name && sees(sight, table);
            let found = declared.iter().find(seen).cloned();
            found.ok_or_else(|| SnapshotError::UnknownTable(name.clone()))
        });
        found.collect()
    }

    /// A snapshot by id, name or `latest`, for somebody who sees its tables.
    ///
    /// # Errors
    /// [`SnapshotError::Unknown`], [`SnapshotError::Redacted`].
    pub async fn get(&self, sight: &Sight, name: &str) -> Result<Record, SnapshotError> {
        let unknown = || SnapshotError::Unknown(name.to_owned());
        let shelf = &self.inner.shelf;
        if name == LATEST {
            for (id, _) in shelf.index().await? {
                let Some(record) = shelf.get(&id).await? else { continue };
                if self.sees(sight, &record) && record.manifest.superseded_by.is_none() {
                    return Ok(record);
                }
            }
            return Err(unknown());
        }
        let id = match is_id(name) {
            true => name.to_owned(),
            false if is_name(name) => shelf.named(name).await?.ok_or_else(unknown)?,
            false => return Err(unknown()),
        };
        let record = shelf.get(&id).await?.filter(|record| self.sees(sight, record));
        let record = record.ok_or_else(unknown)?;
        live(&record)?;
        Ok(record)
    }

    /// The same, of which somebody gets files: as it was a moment ago, and what may be read of it.
    ///
    /// # Errors
    /// See [`Snapshots::get`] and [`Snapshots::reading`].
    pub async fn giving(
        &self,
        sight: &Sight,
        name: &str,
    ) -> Result<(Arc<Record>, Reading), SnapshotError> {
        // The list first: what is known of a record does not outlive the next entry.
        let list = self.inner.deny.current().await?;
        let record = match is_id(name) {
            true => {
                let record = self.inner.shelf.recent(name, list.seq()).await?;
                let record = record.filter(|record| self.sees(sight, record));
                record.ok_or_else(|| SnapshotError::Unknown(name.to_owned()))?
            }
            false => Arc::new(self.get(sight, name).await?),
        };
        live(&record)?;
        let reading = self.may(&record, &list)?;
        Ok((record, reading))
    }

    fn sees(&self, sight: &Sight, record: &Record) -> bool {
        let declared = self.inner.pipeline.tables();
        record.manifest.tables.iter().all(|table| {
            let declared = declared.iter().find(|declared| declared.name == table.table);
            declared.is_some_and(|declared| sees(sight, declared))
        })
    }

    /// What somebody may read of a snapshot at this moment: to be asked before each part of it
    /// leaves.
    ///
    /// # Errors
    /// [`SnapshotError::Redacting`] if a consent has ended whose rows it may have.
    pub async fn reading(&self, record: &Record) -> Result<Reading, SnapshotError> {
        let list = self.inner.deny.current().await?;
        self.may(record, &list)
    }

    fn may(&self, record: &Record, list: &DenyList) -> Result<Reading, SnapshotError> {
        match concerned(record, list).is_empty() {
            true => Ok(Reading::new(self.inner.deny.clone(), list.seq(), record.seen())),
            false => Err(SnapshotError::Redacting),
        }
    }

    /// A page of snapshots that somebody sees, newest first, and the `before` of the next.
    ///
    /// # Errors
    /// If the lake cannot be read.
    pub async fn list(
        &self,
        sight: &Sight,
        limit: usize,
        before: Option<&str>,
    ) -> Result<(Vec<SnapshotInfo>, Option<String>), SnapshotError> {
        let mut index = self.inner.shelf.index().await?.into_iter();
        if let Some(before) = before {
            index.by_ref().find(|(id, _)| id == before);
        }
        let mut page = Vec::new();
        for (id, _) in index {
            let Some(record) = self.inner.shelf.get(&id).await? else { continue };
            if !self.sees(sight, &record) {
                continue;
            }
            if page.len() == limit {
                let last = page.last().map(|info: &SnapshotInfo| info.id.clone());
                return Ok((page, last));
            }
            page.push(info(&record.manifest));
        }
        Ok((page, None))
    }

    /// Removes a snapshot: its files may go.
    ///
    /// # Errors
    /// [`SnapshotError::Unknown`], [`SnapshotError::Redacted`].
    pub async fn delete(&self, sight: &Sight, name: &str) -> Result<SnapshotInfo, SnapshotError> {
        let record = self.get(sight, name).await?;
        self.drop_record(&record).await?;
        Ok(info(&record.manifest))
    }

    async fn drop_record(&self, record: &Record) -> Result<(), SnapshotError> {
        self.inner.shelf.remove(record).await?;
        for pin in &record.pins {
            self.discard(pin, Some(record)).await?;
        }
        Ok(())
    }

    /// Removes the files of a pin's own, then the pin.
    pub(super) async fn discard(
        &self,
        pin: &str,
        record: Option<&Record>,
    ) -> Result<(), SnapshotError> {
        let lake = &self.inner.lake;
        let folder = format!("{OWN}/{pin}");
        for name in lake.list_objects(&folder).await? {
            measure::forget(lake, &format!("{folder}/{name}")).await?;
        }
        lake.remove_folder(&folder, "").await?;
        for part in record.into_iter().flat_map(|record| record.files.values()) {
            if lake.object_bytes(part).await?.is_none() {
                measure::forget(lake, part).await?;
            }
        }
        Ok(self.inner.pinned.remove(pin).await?)
    }

    /// Removes what was begun of snapshots by servers that ended, if it is older than a time in
    /// milliseconds.
    ///
    /// # Errors
    /// If the lake cannot be read or written.
    pub async fn sweep(&self, older: i64) -> Result<(), SnapshotError> {
        let before = Utc::now().timestamp_millis() - older;
        let pins = self.inner.pinned.all().await?;
        let old: Vec<_> = pins.into_iter().filter(|pin| pin.created < before).collect();
        if old.is_empty() {
            return Ok(());
        }
        let mut held = BTreeSet::new();
        for (id, _) in self.inner.shelf.index().await? {
            held.extend(self.inner.shelf.get(&id).await?.into_iter().flat_map(|it| it.pins));
        }
        for pin in old.into_iter().filter(|pin| !held.contains(&pin.id)) {
            self.discard(&pin.id, None).await?;
        }
        Ok(())
    }

    /// Remembers that somebody gets something of a snapshot: if it is redacted they must be told.
    ///
    /// # Errors
    /// If it cannot be remembered.
    pub async fn received(&self, record: &Record, who: &str) -> Result<(), SnapshotError> {
        let id = record.manifest.id.as_str();
        let mark = self.inner.marks.of(&["recipient", who]);
        let key = (id.to_owned(), mark.clone());
        let known = || self.inner.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known().contains(&key) {
            return Ok(());
        }
        self.inner.shelf.received(id, &mark, who).await?;
        let mut known = known();
        if known.len() > 10_000 {
            known.clear();
        }
        known.insert(key);
        Ok(())
    }

    /// A file of a snapshot.
    ///
    /// # Errors
    /// [`SnapshotError::NotInIt`].
    pub fn file(&self, record: &Record, sha256: &str) -> Result<Part, SnapshotError> {
        let not_in_it = || SnapshotError::NotInIt(format!("file {sha256}"));
        let path = record.files.get(sha256).ok_or_else(not_in_it)?;
        let mut files = record.manifest.tables.iter().flat_map(|table| &table.files);
        let file = files.find(|file| file.sha256 == sha256).ok_or_else(not_in_it)?;
        Ok(Part { path: path.clone(), rows: file.rows, bytes: file.bytes })
    }
}

/// Whether somebody may have a snapshot of a table. What was received is in none: it is there without
/// consent.
fn sees(sight: &Sight, table: &Declared) -> bool {
    let zone = matches!(table.zone, Zone::Trusted | Zone::Curated);
    let mut given = table.columns.iter().filter(|column| column.class != Class::Pii);
    zone && sight.zone(table.zone) && given.all(|column| sight.column(table.zone, column))
}

fn info(manifest: &Manifest) -> SnapshotInfo {
    let files = manifest.tables.iter().flat_map(|table| &table.files);
    SnapshotInfo {
        id: manifest.id.clone(),
        name: manifest.name.clone(),
        created: manifest.created,
        created_by: manifest.created_by.clone(),
        superseded_by: manifest.superseded_by.clone(),
        tables: manifest.tables.iter().map(|table| table.table.clone()).collect(),
        rows: manifest.tables.iter().map(|table| table.rows).sum(),
        bytes: files.map(|file| file.bytes).sum(),
    }
}

/// Nothing of a redacted one is given.
fn live(record: &Record) -> Result<(), SnapshotError> {
    match record.manifest.superseded_by.clone() {
        None => Ok(()),
        Some(superseded_by) => Err(SnapshotError::Redacted { superseded_by }),
    }
}

fn is_id(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=NAME).contains(&name.len())
        && name.bytes().all(letter)
        && !name.starts_with('.')
        && name != LATEST
        && !is_id(name)
}
