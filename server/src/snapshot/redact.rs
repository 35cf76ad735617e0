//! How rows are taken out of snapshots when a consent ends: only the files that hold them are written
//! anew, and a new revision takes the place of the old one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use deltalake::arrow::datatypes::Schema;
use deltalake::datafusion::prelude::{Expr, col, lit};
use futures::StreamExt;
use stedi_openapi::SnapshotTable;
use uuid::Uuid;

use super::create::OWN;
use super::error::SnapshotError;
use super::manifest;
use super::measure::{self, Measure};
use super::service::Snapshots;
use super::shelf::Record;
use crate::lake::{Columns, Part};
use crate::ledger::{DenyList, Hidden, Seen};
use crate::pipeline::{Belongs, Declared};

/// How old what was begun of a snapshot must be to be nobody's, in milliseconds. Whoever is at one at
/// this moment looks at the deny list in the end.
const BEGUN: i64 = 60_000;

/// A snapshot that was redacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redacted {
    /// Its id, which is not answered any more.
    pub id: String,
    /// The one in its place.
    pub superseded_by: String,
    /// Who had got something of it: they must be told.
    pub recipients: BTreeSet<String>,
}

/// What a snapshot is without some rows.
struct Without {
    tables: Vec<SnapshotTable>,
    /// Where each file lies, by digest.
    files: BTreeMap<String, String>,
    /// Files that hold such rows.
    touched: Vec<Part>,
}

impl Snapshots {
    /// Takes the rows of requests that are denied out of all snapshots, and says which were redacted
    /// for them. It can be repeated.
    ///
    /// # Errors
    /// If the lake cannot be read or written; some may be redacted then.
    pub async fn redact(
        &self,
        requests: &BTreeSet<String>,
    ) -> Result<Vec<Redacted>, SnapshotError> {
        let list = self.inner.deny.current().await?;
        self.sweep(BEGUN).await?;
        let live = self.live().await?;
        for (id, record) in &live {
            // A server that ended had made its revision already.
            let revision = |(_, other): &&(String, Record)| {
                other.manifest.redacts.as_deref() == Some(id.as_str())
            };
            if let Some((_, revision)) = live.iter().find(revision) {
                self.supersede(record.clone(), revision).await?;
                continue;
            }
            let concerned = concerned(record, &list);
            if concerned.iter().any(|request| requests.contains(request)) {
                self.redact_one(record.clone(), &list, concerned).await?;
            }
        }
        let mut redacted = Vec::new();
        for (_, record) in self.live().await? {
            let Some(old) = &record.manifest.redacts else { continue };
            if record.redacted_for.iter().any(|request| requests.contains(request)) {
                redacted.push(Redacted {
                    id: old.clone(),
                    superseded_by: record.manifest.id.clone(),
                    recipients: self.inner.shelf.recipients(old).await?,
                });
            }
        }
        Ok(redacted)
    }

    /// All that are not redacted.
    async fn live(&self) -> Result<Vec<(String, Record)>, SnapshotError> {
        let mut all = Vec::new();
        for (id, _) in self.inner.shelf.index().await? {
            all.extend(self.inner.shelf.get(&id).await?.map(|record| (id, record)));
        }
        Ok(all)
    }

    async fn redact_one(
        &self,
        mut record: Record,
        list: &DenyList,
        concerned: BTreeSet<String>,
    ) -> Result<(), SnapshotError> {
        let pin = Uuid::new_v4().simple().to_string();
        // Whatever is written under it is nobody's if this ends here.
        self.inner.pinned.put(&pin, BTreeMap::new()).await?;
        let without = self.without(&record, list, &pin).await?;
        if without.touched.is_empty() {
            record.cleared.extend(concerned);
            self.inner.shelf.put(&record).await?;
            return self.discard(&pin, None).await;
        }
        let mut manifest = record.manifest.clone();
        manifest.redacts = Some(record.manifest.id.clone());
        manifest.tables = without.tables;
        manifest.id = manifest::id(&manifest)?;
        let cleared = record.cleared.iter().chain(&concerned).cloned().collect();
        let mut pins = record.pins.clone();
        pins.push(pin.clone());
        let new = Record { manifest, files: without.files, pins, cleared, redacted_for: concerned };
        self.inner.pinned.put(&pin, pinned(&new)).await?;
        self.inner.shelf.put(&new).await?;
        let (id, by) = (record.manifest.id.clone(), new.manifest.id.clone());
        self.supersede(record, &new).await?;
        tracing::info!(
            snapshot = id,
            superseded_by = by,
            files = without.touched.len(),
            "redacted"
        );
        Ok(())
    }

    /// Lets a snapshot give way to another: its name, its place, what only it referred to.
    async fn supersede(&self, mut old: Record, new: &Record) -> Result<(), SnapshotError> {
        if let Some(name) = &new.manifest.name {
            self.inner.shelf.rename(name, &new.manifest.id).await?;
        }
        old.manifest.superseded_by = Some(new.manifest.id.clone());
        self.inner.shelf.put(&old).await?;
        let stays: BTreeSet<&String> = new.files.values().collect();
        for path in old.files.values().filter(|path| !stays.contains(path)) {
            if path.starts_with(OWN) {
                self.inner.lake.remove_object(path).await?;
            }
            measure::forget(&self.inner.lake, path).await?;
        }
        for pin in old.pins.iter().filter(|pin| new.pins.last() != Some(pin)) {
            self.inner.pinned.put(pin, BTreeMap::new()).await?;
        }
        Ok(())
    }

    /// What a snapshot is without the rows that are hidden.
    async fn without(
        &self,
        record: &Record,
        list: &DenyList,
        pin: &str,
    ) -> Result<Without, SnapshotError> {
        let declared = self.inner.pipeline.tables();
        let mut without =
            Without { tables: Vec::new(), files: BTreeMap::new(), touched: Vec::new() };
        for table in &record.manifest.tables {
            let seen = Seen { table: table.table.clone(), version: table.version, received: false };
            let mut found = declared.iter();
            let found = found.find(|declared| declared.name == table.table);
            let hidden = list.hidden(&seen).zip(found);
            let rows =
                hidden.and_then(|(hidden, it)| Some((hidden_rows(&it.belongs, &hidden)?, it)));
            let touched = without.touched.len();
            let mut parts = Vec::new();
            for file in &table.files {
                let part = self.file(record, &file.sha256)?;
                let Some((rows, declared)) = &rows else {
                    parts.push(part);
                    continue;
                };
                match self.rewritten(declared, table, &part, rows, pin).await? {
                    None => parts.push(part),
                    Some(new) => {
                        parts.extend(new);
                        without.touched.push(part);
                    }
                }
            }
            let (Some((_, declared)), true) = (&rows, without.touched.len() > touched) else {
                let files = table.files.iter();
                let places = files.filter_map(|file| {
                    Some((file.sha256.clone(), record.files.get(&file.sha256)?.clone()))
                });
                without.files.extend(places);
                without.tables.push(table.clone());
                continue;
            };
            let schema = self.schema(declared, table)?;
            let measure = Measure {
                lake: &self.inner.lake,
                splits: &self.inner.splits,
                table: &table.table,
                schema: Arc::clone(&schema),
                columns: &declared.columns,
                belongs: &declared.belongs,
            };
            let mut measured = Vec::new();
            for part in &parts {
                measured.push(measure.of(part).await?);
            }
            let (new, places) =
                manifest::table(&table.table, table.version, &schema, &declared.columns, &measured);
            let (sql, sources) = (table.sql.clone(), table.sources.clone());
            without.tables.push(SnapshotTable { sql, sources, ..new });
            without.files.extend(places);
        }
        Ok(without)
    }

    /// A file without some rows; nothing if it has none of them.
    async fn rewritten(
        &self,
        declared: &Declared,
        table: &SnapshotTable,
        part: &Part,
        rows: &Expr,
        pin: &str,
    ) -> Result<Option<Vec<Part>>, SnapshotError> {
        let lake = &self.inner.lake;
        let failed = SnapshotError::reading(&table.table);
        let schema = self.schema(declared, table)?;
        let read = || {
            let file = lake.parts(&table.table, &schema, std::slice::from_ref(part));
            lake.sessions().in_pieces().read_table(Arc::new(file)).map_err(failed)
        };
        let found = read()?.filter(rows.clone()).map_err(failed)?;
        let mut found = found.execute_stream().await.map_err(failed)?;
        let mut some = false;
        while let Some(batch) = found.next().await {
            some |= batch.map_err(failed)?.num_rows() > 0;
            if some {
                break;
            }
        }
        if !some {
            return Ok(None);
        }
        let columns = Columns {
            schema: Arc::new(Schema::clone(&schema)),
            without_statistics: BTreeSet::new(),
            txn_retention: None,
        };
        let stay = read()?.filter(rows.clone().is_not_true()).map_err(failed)?;
        let folder = format!("{OWN}/{pin}");
        Ok(Some(lake.write_parts(&folder, &table.table, stay, &columns).await?))
    }
}

/// The requests whose rows a snapshot may have.
pub(super) fn concerned(record: &Record, list: &DenyList) -> BTreeSet<String> {
    let seen = record.seen();
    let open = seen.iter().flat_map(|seen| list.concerning(seen));
    open.filter(|request| !record.cleared.contains(*request)).cloned().collect()
}

/// The files of tables that a record relies on, as pins have them.
fn pinned(record: &Record) -> BTreeMap<String, BTreeSet<String>> {
    let mut files = BTreeMap::<String, BTreeSet<String>>::new();
    for table in &record.manifest.tables {
        let paths = table.files.iter().filter_map(|file| record.files.get(&file.sha256));
        for path in paths.filter(|path| !path.starts_with(OWN)) {
            let name = path.rsplit('/').next().unwrap_or(path).to_owned();
            files.entry(table.table.clone()).or_default().insert(name);
        }
    }
    files
}

/// The condition that a row is hidden, by the rule of derived tables: of a subject, or of a device
/// where rows are replaced by device, as all who claim it have to consent. None where rows belong to
/// nobody.
fn hidden_rows(belongs: &Belongs, hidden: &Hidden) -> Option<Expr> {
    let among = |column: &Option<String>, values: &std::collections::HashSet<String>| {
        let values: BTreeSet<&String> = values.iter().collect();
        let values: Vec<Expr> = values.into_iter().map(|value| lit(value.as_str())).collect();
        let column = column.as_ref()?;
        (!values.is_empty()).then(|| col(column.as_str()).in_list(values, false))
    };
    let subject = among(&belongs.subject, &hidden.subjects);
    let device = among(&belongs.device, &hidden.devices);
    match (subject, device) {
        (Some(subject), Some(device)) => Some(subject.is_true().or(device.is_true())),
        (subject, device) => subject.or(device),
    }
}
