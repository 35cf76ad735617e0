//! One run: every derived table in dependency order.

use std::sync::Arc;
use std::time::Instant;

use super::error::PromotionError;
use super::lineage::Lineage;
use super::rebuild::rebuild;
use crate::lake::{Author, Lake, LakeError, Table};
use crate::ledger::SubjectKey;
use crate::pipeline::{Derived, Pipeline, Zone, stored_columns};

/// How often a table is tried again that others changed meanwhile.
const ATTEMPTS: usize = 5;

/// Brings the derived tables of a lake up to date.
#[derive(Debug)]
pub struct Promotion {
    lake: Lake,
    pipeline: Arc<Pipeline>,
    key_id: String,
}

/// What a run did with one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableRun {
    /// The table.
    pub table: String,
    /// `nothing` or `rebuild`.
    pub mode: &'static str,
    /// Rows that are in the table by this run.
    pub rows_inserted: u64,
    /// Rows that are no more in the table.
    pub rows_deleted: u64,
    /// The version of each source that the table is now made from.
    pub sources: Vec<(String, u64)>,
    /// The table's version after the run.
    pub version: u64,
    /// How long it took.
    pub millis: u64,
}

impl Promotion {
    /// Promotion of a lake's pipeline.
    pub fn new(lake: Lake, pipeline: Arc<Pipeline>, key: &SubjectKey) -> Self {
        Self { lake, pipeline, key_id: key.id().to_owned() }
    }

    /// Makes the derived tables that are not there yet.
    pub async fn create_tables(&self) -> Result<(), PromotionError> {
        for derived in &self.pipeline.derived {
            self.target(derived).await?;
        }
        Ok(())
    }

    /// Brings all tables up to date on somebody's behalf and reports each as it is done.
    ///
    /// # Errors
    /// The first table that fails ends the run; tables before it are up to date.
    pub async fn run(
        &self,
        author: &Author,
        mut done: impl FnMut(&TableRun),
    ) -> Result<Vec<TableRun>, PromotionError> {
        let mut runs = Vec::with_capacity(self.pipeline.derived.len());
        for derived in &self.pipeline.derived {
            let run = self.promote(derived, author).await?;
            tracing::info!(
                table = run.table,
                mode = run.mode,
                version = run.version,
                rows_inserted = run.rows_inserted,
                rows_deleted = run.rows_deleted,
                millis = run.millis,
                "promotion"
            );
            done(&run);
            runs.push(run);
        }
        Ok(runs)
    }

    async fn promote(
        &self,
        derived: &Derived,
        author: &Author,
    ) -> Result<TableRun, PromotionError> {
        let started = Instant::now();
        let definition = derived.definition(&self.pipeline.options, &self.key_id);
        for _ in 0..ATTEMPTS {
            // The target first: sources that are read after it are at least as new as those that
            // any commit in it was made from, so an older state can never replace a newer one.
            let table = self.target(derived).await?;
            let sources = self.sources(derived).await?;
            let lineage = Lineage::new(&sources, definition);
            let versions = sources.iter().map(|table| (table.name().to_owned(), table.version()));
            let run = |table: Table, mode, rows_inserted, rows_deleted| TableRun {
                table: derived.name.clone(),
                mode,
                rows_inserted,
                rows_deleted,
                sources: versions.collect(),
                version: table.version(),
                millis: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            };
            if lineage.holds_in(&table).await? {
                return Ok(run(table, "nothing", 0, 0));
            }
            let options = &self.pipeline.options;
            match rebuild(&self.lake, derived, options, &table, &sources, lineage, author).await {
                Ok(rebuilt) => {
                    return Ok(run(
                        rebuilt.table,
                        "rebuild",
                        rebuilt.rows_inserted,
                        rebuilt.rows_deleted,
                    ));
                }
                Err(PromotionError::Lake(LakeError::Conflict { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        Err(PromotionError::Contended { table: derived.name.clone(), attempts: ATTEMPTS })
    }

    async fn target(&self, derived: &Derived) -> Result<Table, PromotionError> {
        let columns = stored_columns(&derived.columns);
        Ok(self.lake.table_or_create(derived.zone.name(), &derived.name, &columns).await?)
    }

    async fn sources(&self, derived: &Derived) -> Result<Vec<Table>, PromotionError> {
        let mut tables = Vec::with_capacity(derived.sources.len());
        for source in &derived.sources {
            let missing = || PromotionError::SourceMissing {
                table: derived.name.clone(),
                missing: source.clone(),
            };
            let zone: Zone = self.pipeline.zone(source).ok_or_else(missing)?;
            tables.push(self.lake.table(zone.name(), source).await?.ok_or_else(missing)?);
        }
        Ok(tables)
    }
}
