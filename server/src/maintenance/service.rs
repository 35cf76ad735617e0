//! Takes orders for maintenance.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use stedi_openapi::MaintenanceInfo;

use super::error::MaintenanceError;
use super::job::{Order, Upkeep};
use super::target::Target;
use crate::lake::{CompactionRules, Lake};
use crate::ledger::audit::Audit;
use crate::ledger::{Asker, Leases, LongWork, Pinned, WorkRules};
use crate::pipeline::{Declared, Pipeline};

/// Orders that may wait.
const WAITING: usize = 16;

/// When what is due.
#[derive(Clone, Copy, Debug)]
pub struct MaintenanceRules {
    /// How often each server looks at all tables; `None` for never.
    pub every: Option<Duration>,
    /// Time without a sign of life after which another server may maintain a table.
    pub lease: Duration,
    /// Commits after which a checkpoint is written.
    pub checkpoint_commits: u64,
    /// Which files are rewritten.
    pub compaction: CompactionRules,
    /// How far back versions can be read.
    pub log_retention: Duration,
    /// How old a file is that nothing refers to before it is removed.
    pub file_retention: Duration,
    /// How often such files are looked for by schedule.
    pub files_every: Duration,
    /// How long a maintenance that was asked for is kept.
    pub keep: Duration,
}

/// The maintenance of a lake; clones are the same.
#[derive(Clone, Debug)]
pub struct Maintenance {
    pub(super) inner: Arc<Inner>,
    work: LongWork<Upkeep>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub lake: Lake,
    pub leases: Leases,
    pub pinned: Pinned,
    pub audit: Audit,
    pub rules: MaintenanceRules,
    pub targets: Vec<Target>,
    /// Whoever has it maintains: a server does one thing after another.
    pub turn: tokio::sync::Mutex<()>,
    /// When unreferenced files of a table were looked for.
    seen: Mutex<HashMap<String, Instant>>,
}

impl Maintenance {
    /// Maintenance of a pipeline's tables, and of those of the service itself. Nothing runs before
    /// [`LongWork::keep_working`] and [`Maintenance::keep_schedule`].
    pub fn new(
        lake: Lake,
        pipeline: &Pipeline,
        system: Vec<Declared>,
        audit: Audit,
        rules: MaintenanceRules,
    ) -> Self {
        let work = WorkRules { queued: WAITING, lease: rules.lease, keep: rules.keep };
        let inner = Arc::new(Inner {
            leases: Leases::new(lake.clone(), rules.lease),
            pinned: Pinned::new(lake.clone()),
            lake: lake.clone(),
            audit: audit.clone(),
            rules,
            targets: Target::all(pipeline, system),
            turn: tokio::sync::Mutex::default(),
            seen: Mutex::default(),
        });
        let work = LongWork::new(&lake, Upkeep(Arc::clone(&inner)), audit, work);
        Self { inner, work }
    }

    /// All that maintenances have in common with other long work.
    pub fn work(&self) -> &LongWork<Upkeep> {
        &self.work
    }

    /// Takes an order for some tables, or all. With a key, the same order of the same principal is
    /// taken once.
    ///
    /// # Errors
    /// [`MaintenanceError::UnknownTable`], [`MaintenanceError::NoTables`], and those of
    /// [`LongWork::ask`].
    pub async fn ask(
        &self,
        who: Asker,
        tables: Option<&[String]>,
        key: Option<&str>,
    ) -> Result<MaintenanceInfo, MaintenanceError> {
        let tables = self.inner.in_order(tables)?;
        Ok(self.work.ask(who, Order { tables }, key).await?)
    }
}

impl Inner {
    /// The tables of these names, in the order in which they are declared; all without names.
    fn in_order(&self, names: Option<&[String]>) -> Result<Vec<String>, MaintenanceError> {
        let all = self.targets.iter().map(|target| target.name.clone());
        let Some(names) = names else { return Ok(all.collect()) };
        let known = |name: &&String| self.targets.iter().any(|target| target.name == **name);
        if let Some(unknown) = names.iter().find(|name| !known(name)) {
            return Err(MaintenanceError::UnknownTable(unknown.clone()));
        }
        let tables: Vec<String> = all.filter(|name| names.contains(name)).collect();
        match tables.is_empty() {
            true => Err(MaintenanceError::NoTables),
            false => Ok(tables),
        }
    }

    /// Whether it is time to look for unreferenced files of a table.
    pub fn files_are_due(&self, table: &str) -> bool {
        let seen = self.seen().get(table).copied();
        seen.is_none_or(|seen| seen.elapsed() >= self.rules.files_every)
    }

    pub fn files_were_seen(&self, table: &str) {
        self.seen().insert(table.to_owned(), Instant::now());
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        // Nothing panics while it holds the lock; the content is whole in any case.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
