//! Brings derived tables up to date, each by what changed in its sources.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};
use stedi_openapi::CheckResult;

use super::append::append;
use super::claims::KnownClaims;
use super::difference::{Difference, Done, Halted};
use super::error::PromotionError;
use super::lineage::Lineage;
use super::plan::{Mode, Plan, Why};
use super::rebuild::rebuild;
use super::runs_table;
use super::sources::Sources;
use super::subjects::subjects;
use super::touched::Touched;
use super::work::Work;
use crate::lake::{Author, Lake, LakeError, Table, Watch};
use crate::ledger::SubjectKey;
use crate::pipeline::{Derived, Pipeline, stored_columns};

/// How often a table is tried again that others changed meanwhile.
const ATTEMPTS: usize = 5;

/// Brings the derived tables of a lake up to date.
#[derive(Clone, Debug)]
pub struct Promotion {
    pub(super) lake: Lake,
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) key_id: String,
    pub(super) claims: KnownClaims,
}

/// What a run did with one table.
#[derive(Clone, Debug, PartialEq)]
pub struct TableRun {
    /// The table.
    pub table: String,
    /// How it was brought up to date.
    pub mode: Mode,
    /// Why so.
    pub why: Why,
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
    /// What became of its quality rules.
    pub checks: Vec<CheckResult>,
}

impl Promotion {
    /// Promotion of a lake's pipeline.
    pub fn new(lake: Lake, pipeline: Arc<Pipeline>, key: &SubjectKey) -> Self {
        Self { lake, pipeline, key_id: key.id().to_owned(), claims: KnownClaims::default() }
    }

    /// Makes the derived tables that are not there yet.
    pub async fn create_tables(&self) -> Result<(), PromotionError> {
        for derived in &self.pipeline.derived {
            self.target(derived).await?;
        }
        Ok(runs_table::create(&self.lake).await?)
    }

    /// These derived tables, or all, each behind those that it reads.
    ///
    /// # Errors
    /// [`PromotionError::NotDerived`], [`PromotionError::NoTables`].
    pub fn in_order(&self, tables: Option<&[String]>) -> Result<Vec<String>, PromotionError> {
        let all = || self.pipeline.derived.iter().map(|derived| derived.name.clone());
        let Some(tables) = tables else { return Ok(all().collect()) };
        if tables.is_empty() {
            return Err(PromotionError::NoTables);
        }
        if let Some(other) = tables.iter().find(|table| !all().any(|name| name == **table)) {
            return Err(PromotionError::NotDerived(other.chars().take(128).collect()));
        }
        Ok(all().filter(|name| tables.contains(name)).collect())
    }

    /// The tables that a derived table reads.
    pub(super) fn sources_of(&self, table: &str) -> &[String] {
        let derived = self.pipeline.derived.iter().find(|derived| derived.name == table);
        derived.map_or(&[], |derived| &derived.sources)
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
            let run = self.promote(&derived.name, author, &Arc::default()).await?;
            done(&run);
            runs.push(run);
        }
        Ok(runs)
    }

    /// Brings one table up to date on somebody's behalf. The tables that it reads are taken as they
    /// are.
    ///
    /// # Errors
    /// The table stays as it was, unless the log could not be read after an unclear commit.
    pub async fn promote(
        &self,
        table: &str,
        author: &Author,
        watch: &Arc<Watch>,
    ) -> Result<TableRun, PromotionError> {
        let started = Instant::now();
        let derived = self.pipeline.derived.iter().find(|derived| derived.name == table);
        let derived = derived.ok_or_else(|| PromotionError::NotDerived(table.to_owned()))?;
        for _ in 0..ATTEMPTS {
            match self.attempt(derived, author, watch, started).await {
                Err(PromotionError::Lake(LakeError::Conflict { .. })) => {}
                Ok(run) => {
                    tracing::info!(
                        table = run.table,
                        mode = run.mode.name(),
                        why = %run.why,
                        version = run.version,
                        rows_inserted = run.rows_inserted,
                        rows_deleted = run.rows_deleted,
                        millis = run.millis,
                        "promotion"
                    );
                    return Ok(run);
                }
                Err(error) => return Err(error),
            }
        }
        Err(PromotionError::Contended { table: table.to_owned(), attempts: ATTEMPTS })
    }

    async fn attempt(
        &self,
        derived: &Derived,
        author: &Author,
        watch: &Arc<Watch>,
        started: Instant,
    ) -> Result<TableRun, PromotionError> {
        // The target first: sources that are read after it are at least as new as those that any
        // commit in it was made from, so an older state can never replace a newer one.
        let table = self.target(derived).await?;
        let sources = Sources::open(&self.lake, &self.pipeline, derived).await?;
        watch.go_on()?;
        let definition = derived.definition(&self.pipeline.options, &self.key_id);
        let lineage = Lineage::new(&sources, definition);
        let work = Work {
            lake: &self.lake,
            pipeline: &self.pipeline,
            derived,
            options: &self.pipeline.options,
            table: &table,
            sources: &sources,
            author,
            watch,
            claims: &self.claims,
        };
        let attempt = async {
            let plan = Plan::make(derived, &table, &sources, &lineage).await?;
            carry_out(&work, plan, lineage).await
        };
        let (mode, why, done) = match attempt.await {
            Err(error @ PromotionError::Lake(LakeError::Conflict { .. })) => return Err(error),
            // What it wrote, or read, may be gone: it is tried again with what is there now.
            Err(error) if self.is_purged(&table, &sources).await? => {
                tracing::info!(table = derived.name, %error, "a purge overtook a promotion");
                return Err(LakeError::Conflict { table: derived.name.clone() }.into());
            }
            attempt => attempt?,
        };
        let version = done.as_ref().map_or(table.version(), |done| done.table.version());
        Ok(TableRun {
            table: derived.name.clone(),
            mode,
            why,
            rows_inserted: done.as_ref().map_or(0, |done| done.rows_inserted),
            rows_deleted: done.as_ref().map_or(0, |done| done.rows_deleted),
            sources: sources.versions().collect(),
            version,
            checks: done.map_or_else(Vec::new, |done| done.checks),
            millis: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// Whether a purge of the table, or of one that it reads, began since they were opened.
    async fn is_purged(&self, table: &Table, sources: &Sources) -> Result<bool, PromotionError> {
        for known in sources.tables().chain([table]) {
            let Some(zone) = self.pipeline.zone(known.name()) else { continue };
            if let Some(newest) = self.lake.table(zone.name(), known.name()).await?
                && known.is_purged_since(&newest)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The newest version of a derived table, if there is one.
    pub(super) async fn current(&self, table: &str) -> Result<Option<Table>, PromotionError> {
        let derived = self.pipeline.derived.iter().find(|derived| derived.name == table);
        let Some(derived) = derived else { return Ok(None) };
        Ok(self.lake.current(derived.zone.name(), table).await?)
    }

    pub(super) async fn target(&self, derived: &Derived) -> Result<Table, PromotionError> {
        let columns = stored_columns(&derived.columns);
        let zone = derived.zone.name();
        match self.lake.current(zone, &derived.name).await? {
            Some(table) => Ok(table),
            None => Ok(self.lake.table_or_create(zone, &derived.name, &columns).await?),
        }
    }
}

async fn carry_out(
    work: &Work<'_>,
    plan: Plan,
    lineage: Lineage,
) -> Result<(Mode, Why, Option<Done>), PromotionError> {
    let (mode, why, difference) = match plan {
        Plan::Nothing { note: false } => {
            return Ok((Mode::Nothing, Why::new("no row of a source changed"), None));
        }
        Plan::Nothing { note: true } => {
            (Mode::Nothing, Why::new("no row of a source changed"), Ok(Difference::default()))
        }
        Plan::Append(changed) => {
            let why = Why::changed("rows came", &changed);
            (Mode::Append, why, append(work, &changed).await)
        }
        Plan::Subjects(changed) => {
            let why = Why::changed("rows changed", &changed);
            let session = work.lake.sessions().session();
            let (pipeline, sources) = (work.pipeline, work.sources);
            let touched =
                Touched::find(&session, pipeline, work.derived, sources, &changed, work.claims);
            let difference = match touched.await? {
                Ok(touched) => subjects(work, &touched).await,
                Err(reason) => Err(Halted::TooMuch(reason)),
            };
            (Mode::Subjects, why, difference)
        }
        Plan::Rebuild(why) => (Mode::Rebuild, why, Err(Halted::TooMuch(""))),
    };
    match difference {
        Ok(difference) => {
            let info = info(work, mode, &why);
            let done = difference.commit(work, lineage, info).await?;
            Ok((mode, why, Some(done)))
        }
        Err(Halted::TooMuch(reason)) => {
            let why = match reason {
                "" => why,
                reason => Why { reason: format!("{}; {reason}", why.reason), ..why },
            };
            let done = rebuild(work, lineage, info(work, Mode::Rebuild, &why)).await?;
            Ok((Mode::Rebuild, why, Some(done)))
        }
        Err(Halted::Failed(error)) => Err(error),
    }
}

/// What the history of the table says.
fn info(work: &Work<'_>, mode: Mode, why: &Why) -> Value {
    let sources: BTreeMap<String, u64> = work.sources.versions().collect();
    json!({
        "operation": "promote",
        "mode": mode.name(),
        "why": why.reason,
        "changed": why.sources,
        "sources": sources,
    })
}
