//! How a snapshot is made: pin, measure, say what it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::Utc;
use deltalake::arrow::datatypes::{Schema, SchemaRef};
use deltalake::datafusion::prelude::col;
use futures::{StreamExt, TryStreamExt};
use stedi_openapi::{Manifest, SNAPSHOT_FORMAT};
use uuid::Uuid;

use super::error::SnapshotError;
use super::manifest;
use super::measure::{Measure, Measured};
use super::service::Snapshots;
use super::shelf::Record;
use crate::lake::{Columns, Part, Table};
use crate::ledger::Seen;
use crate::pipeline::{Class, Declared};

/// The folder of the lake for files of snapshots' own.
pub const OWN: &str = "snapshots";
/// Files that are measured at the same time.
const AT_ONCE: usize = 4;
/// How often it is tried again because tables changed.
const ATTEMPTS: usize = 5;

/// A table of which a snapshot is made.
struct Source {
    declared: Declared,
    table: Table,
    /// The columns that are not personal, as they are stored.
    schema: SchemaRef,
    parts: Vec<Part>,
}

impl Source {
    /// Whether its own files hold more than may be given.
    fn has_more(&self) -> Result<bool, SnapshotError> {
        Ok(self.table.schema()?.fields().len() > self.schema.fields().len())
    }
}

impl Snapshots {
    /// Makes a snapshot of the newest versions of tables.
    pub(super) async fn make(
        &self,
        tables: &[Declared],
        name: Option<&str>,
        by: &str,
    ) -> Result<Record, SnapshotError> {
        for _ in 0..ATTEMPTS {
            let pin = Uuid::new_v4().simple().to_string();
            match self.attempt(&pin, tables, name, by).await {
                Ok(Some(record)) => return Ok(record),
                Ok(None) => self.discard(&pin, None).await?,
                Err(error) => {
                    // What cannot be removed now is an orphan, which is removed later.
                    if let Err(error) = self.discard(&pin, None).await {
                        tracing::warn!(%error, "what was begun of a snapshot is left");
                    }
                    return Err(error);
                }
            }
        }
        Err(SnapshotError::Contended)
    }

    /// One attempt; nothing if a table lost files meanwhile, or a consent ended.
    async fn attempt(
        &self,
        pin: &str,
        tables: &[Declared],
        name: Option<&str>,
        by: &str,
    ) -> Result<Option<Record>, SnapshotError> {
        let list = self.inner.deny.current().await?;
        let mut sources = Vec::new();
        for declared in tables {
            let source = self.source(declared).await?;
            if list.hidden(&seen(&source)).is_some() {
                return Err(SnapshotError::Redacting);
            }
            sources.push(source);
        }
        let pinned = sources.iter().map(|source| {
            let names = source.parts.iter().map(|part| part.name().to_owned()).collect();
            (source.declared.name.clone(), names)
        });
        self.inner.pinned.put(pin, pinned.collect()).await?;
        let mut made = Vec::new();
        let mut files = BTreeMap::new();
        for source in &sources {
            let mut parts = source.parts.clone();
            if source.has_more()? {
                parts = self.projected(pin, source).await?;
            }
            let measured = self.measured(source, &parts).await?;
            let (mut table, places) = manifest::table(
                &source.declared.name,
                source.table.version(),
                &source.schema,
                &source.declared.columns,
                &measured,
            );
            let derived = self.inner.pipeline.derived.iter();
            let mut derived = derived.filter(|derived| derived.name == source.declared.name);
            table.sql = derived.next().map(|derived| derived.sql.clone());
            let ids: Vec<&str> = source.declared.sources.iter().map(String::as_str).collect();
            for (id, version) in ids.iter().zip(source.table.txns(&ids).await?) {
                let version = version.and_then(|version| u64::try_from(version).ok());
                table.sources.extend(version.map(|version| ((*id).to_owned(), version)));
            }
            files.extend(places);
            made.push(table);
        }
        // What was pinned in time is there.
        for part in sources.iter().flat_map(|source| &source.parts) {
            if self.inner.lake.object_bytes(&part.path).await? != Some(part.bytes) {
                return Ok(None);
            }
        }
        made.sort_by(|a, b| a.table.cmp(&b.table));
        let mut manifest = Manifest {
            id: String::new(),
            name: name.map(str::to_owned),
            superseded_by: None,
            format: SNAPSHOT_FORMAT.to_owned(),
            created: Utc::now().timestamp_millis(),
            created_by: by.to_owned(),
            redacts: None,
            pipeline: self.inner.pipeline_digest.clone(),
            options: self.inner.pipeline.options.clone(),
            splits: self.inner.splits.shares().clone(),
            tables: made,
        };
        manifest.id = manifest::id(&manifest)?;
        let (cleared, redacted_for) = (BTreeSet::new(), BTreeSet::new());
        let record = Record { manifest, files, pins: vec![pin.to_owned()], cleared, redacted_for };
        if let Some(name) = name
            && !self.inner.shelf.name(name, &record.manifest.id).await?
        {
            return Err(SnapshotError::NameTaken(name.to_owned()));
        }
        self.inner.shelf.put(&record).await?;
        // Whoever redacts snapshots for a consent that ended meanwhile may not have seen this one.
        let now = self.inner.deny.current().await?;
        let denied = now.seq() > list.seq()
            && sources.iter().any(|source| now.hidden(&seen(source)).is_some());
        // Who took this for what a dead server left has removed the pin.
        if denied || !self.inner.pinned.has(pin).await? {
            self.inner.shelf.remove(&record).await?;
            return Ok(None);
        }
        Ok(Some(record))
    }

    /// A table at its newest version.
    async fn source(&self, declared: &Declared) -> Result<Source, SnapshotError> {
        let folder = declared.zone.name();
        let table = self.inner.lake.current(folder, &declared.name).await?;
        let table = table.ok_or_else(|| SnapshotError::UnknownTable(declared.name.clone()))?;
        let stored = table.schema()?;
        let personal = |name: &str| {
            let mut columns = declared.columns.iter();
            // A column that nobody declared is not known to be harmless.
            columns.find(|column| column.name == name).is_none_or(|it| it.class == Class::Pii)
        };
        let fields = stored.fields().iter().filter(|field| !personal(field.name())).cloned();
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let parts = table.parts(folder)?;
        Ok(Source { declared: declared.clone(), table, schema, parts })
    }

    /// Files of a table's rows without personal columns.
    async fn projected(&self, pin: &str, source: &Source) -> Result<Vec<Part>, SnapshotError> {
        let lake = &self.inner.lake;
        let name = &source.declared.name;
        let failed = SnapshotError::reading(name);
        let whole = source.table.schema()?;
        let columns = Columns {
            schema: Arc::clone(&source.schema),
            without_statistics: BTreeSet::new(),
            txn_retention: None,
        };
        let folder = format!("{OWN}/{pin}");
        let mut all = Vec::new();
        for part in &source.parts {
            let file = lake.parts(name, &whole, std::slice::from_ref(part));
            let rows = lake.sessions().in_pieces().read_table(Arc::new(file)).map_err(failed)?;
            let names = source.schema.fields().iter().map(|field| col(field.name().as_str()));
            let rows = rows.select(names.collect::<Vec<_>>()).map_err(failed)?;
            all.extend(lake.write_parts(&folder, name, rows, &columns).await?);
        }
        Ok(all)
    }

    /// What each file is.
    async fn measured(
        &self,
        source: &Source,
        parts: &[Part],
    ) -> Result<Vec<Measured>, SnapshotError> {
        let measure = Measure {
            lake: &self.inner.lake,
            splits: &self.inner.splits,
            table: &source.declared.name,
            schema: Arc::clone(&source.schema),
            columns: &source.declared.columns,
            belongs: &source.declared.belongs,
        };
        let all: Vec<_> = parts.iter().map(|part| measure.of(part)).collect();
        futures::stream::iter(all).buffered(AT_ONCE).try_collect().await
    }
}

fn seen(source: &Source) -> Seen {
    let (table, version) = (source.declared.name.clone(), source.table.version());
    Seen { table, version, received: false }
}
