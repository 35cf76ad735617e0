//! The sources of a derived table at one moment, and what changed in them since the table was last
//! brought up to date.

use std::collections::BTreeMap;

use super::error::PromotionError;
use super::lineage::Known;
use crate::lake::{Changes, DataFiles, Lake, Table, Untold};
use crate::pipeline::{Derived, Pipeline, Zone};

/// The sources of one derived table, in declared order.
#[derive(Debug)]
pub(super) struct Sources {
    tables: Vec<Table>,
    files: BTreeMap<String, DataFiles>,
}

/// A source whose rows changed.
#[derive(Debug)]
pub(super) struct Changed {
    /// Its name.
    pub name: String,
    /// Rows that came and went.
    pub changes: Changes,
    /// Rows of all of it, now.
    pub rows: u64,
}

/// What happened to the sources.
#[derive(Debug)]
pub(super) struct Since {
    /// Sources whose rows changed.
    pub changed: Vec<Changed>,
    /// Commits of all sources that are not taken in yet.
    pub commits: u64,
}

impl Sources {
    /// Opens the newest version of each.
    pub async fn open(
        lake: &Lake,
        pipeline: &Pipeline,
        derived: &Derived,
    ) -> Result<Self, PromotionError> {
        let tables = derived.sources.iter().map(async |source| {
            let missing = || PromotionError::SourceMissing {
                table: derived.name.clone(),
                missing: source.clone(),
            };
            let zone: Zone = pipeline.zone(source).ok_or_else(missing)?;
            lake.current(zone.name(), source).await?.ok_or_else(missing)
        });
        let tables: Vec<Table> = futures::future::try_join_all(tables).await?;
        let mut files = BTreeMap::new();
        for table in &tables {
            files.insert(table.name().to_owned(), table.files()?);
        }
        Ok(Self { tables, files })
    }

    /// Each, as it was opened.
    pub fn tables(&self) -> impl Iterator<Item = &Table> {
        self.tables.iter()
    }

    /// Name and version of each.
    pub fn versions(&self) -> impl Iterator<Item = (String, u64)> + '_ {
        self.tables.iter().map(|table| (table.name().to_owned(), table.version()))
    }

    /// All files of each.
    pub fn all(&self) -> impl Iterator<Item = &DataFiles> {
        self.files.values()
    }

    /// All files of one.
    pub fn files(&self, name: &str) -> Option<&DataFiles> {
        self.files.get(name)
    }

    /// What happened since the versions that a table knows.
    pub async fn since(
        &self,
        known: &Known,
    ) -> Result<Result<Since, (String, Untold)>, PromotionError> {
        let changes = self.tables.iter().map(async |table| {
            let from = known.version(table.name());
            Ok::<_, PromotionError>((table, from, table.changes_since(from).await?))
        });
        let mut since = Since { changed: Vec::new(), commits: 0 };
        for (table, from, changes) in futures::future::try_join_all(changes).await? {
            let changes = match changes {
                Ok(changes) => changes,
                Err(untold) => return Ok(Err((table.name().to_owned(), untold))),
            };
            since.commits += table.version() - from;
            if !changes.is_empty() {
                let rows = self.files(table.name()).map_or(0, DataFiles::rows);
                since.changed.push(Changed { name: table.name().to_owned(), changes, rows });
            }
        }
        Ok(Ok(since))
    }
}
