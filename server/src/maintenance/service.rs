//! Takes orders for maintenance, and says how far they are. Orders are objects of the lake, so that any
//! server knows them, and one takes over what another leaves behind.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::Utc;
use serde::{Deserialize, Serialize};
use stedi_openapi::{MaintainedState, MaintainedTable, MaintenanceInfo, WorkState};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::error::MaintenanceError;
use super::target::Target;
use crate::lake::{CompactionRules, Lake};
use crate::ledger::audit::Audit;
use crate::ledger::{self, Attempts, Leases};
use crate::pipeline::{Declared, Pipeline};

const FOLDER: &str = "system/maintenance";
/// Orders that may wait.
const WAITING: usize = 16;
/// How soon it is looked again after an error.
const SOON: Duration = Duration::from_secs(1);

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

/// Who asks for a maintenance.
#[derive(Clone, Debug)]
pub struct Asker {
    /// A token's `sub`.
    pub principal: String,
    /// Its roles, by name.
    pub roles: Vec<String>,
    /// The request.
    pub request_id: Option<String>,
}

/// What was asked, by whom.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Asked {
    /// In the order in which they are declared.
    pub tables: Vec<String>,
    pub principal: String,
    pub roles: Vec<String>,
    pub request_id: Option<String>,
    /// Epoch milliseconds.
    pub created: i64,
}

pub(super) type Shelf = ledger::Shelf<Asked, MaintenanceInfo>;

/// The maintenance of a lake; clones are the same.
#[derive(Clone, Debug)]
pub struct Maintenance(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub lake: Lake,
    pub leases: Leases,
    pub audit: Audit,
    pub rules: MaintenanceRules,
    pub targets: Vec<Target>,
    pub shelf: Shelf,
    pub stop: CancellationToken,
    /// Whoever has it maintains: a server does one thing after another.
    pub turn: tokio::sync::Mutex<()>,
    work: Notify,
    /// When unreferenced files of a table were looked for.
    seen: Mutex<HashMap<String, Instant>>,
}

impl Maintenance {
    /// Maintenance of a pipeline's tables, and of those of the service itself. Nothing runs before
    /// [`Maintenance::keep_working`] and [`Maintenance::keep_schedule`].
    pub fn new(
        lake: Lake,
        pipeline: &Pipeline,
        system: Vec<Declared>,
        audit: Audit,
        rules: MaintenanceRules,
    ) -> Self {
        Self(Arc::new(Inner {
            leases: Leases::new(lake.clone(), rules.lease),
            shelf: Shelf::new(lake.clone(), FOLDER),
            lake,
            audit,
            rules,
            targets: Target::all(pipeline, system),
            stop: CancellationToken::new(),
            turn: tokio::sync::Mutex::default(),
            work: Notify::new(),
            seen: Mutex::default(),
        }))
    }

    /// Takes an order for some tables, or all. With a key, the same order of the same principal is
    /// taken once.
    ///
    /// # Errors
    /// [`MaintenanceError::UnknownTable`], [`MaintenanceError::NoTables`],
    /// [`MaintenanceError::Busy`], [`MaintenanceError::Ledger`].
    pub async fn ask(
        &self,
        who: Asker,
        tables: Option<&[String]>,
        key: Option<&str>,
    ) -> Result<MaintenanceInfo, MaintenanceError> {
        let shelf = &self.0.shelf;
        let tables = self.0.in_order(tables)?;
        let mut id = Shelf::id();
        if let Some(key) = key {
            id = shelf.keyed(&who.principal, key, &tables.join(","), &id).await?;
            match self.get(&id).await {
                // Its first order may have ended before it was kept.
                Err(MaintenanceError::Unknown(_)) => {}
                found => return found,
            }
        }
        let waiting = shelf.open().await?.len();
        if waiting >= WAITING {
            return Err(MaintenanceError::Busy(waiting));
        }
        let Asker { principal, roles, request_id } = who;
        let created = Utc::now().timestamp_millis();
        let asked = Asked { tables, principal, roles, request_id, created };
        shelf.ask(&id, &asked).await?;
        self.0.work.notify_one();
        Ok(info(&id, &asked))
    }

    /// A maintenance as it is now.
    ///
    /// # Errors
    /// [`MaintenanceError::Unknown`]
    pub async fn get(&self, id: &str) -> Result<MaintenanceInfo, MaintenanceError> {
        let unknown = || MaintenanceError::Unknown(id.chars().take(64).collect());
        if !Shelf::is_id(id) {
            return Err(unknown());
        }
        let asked = self.0.shelf.asked(id).await?.ok_or_else(unknown)?;
        let (run, Attempts { cancelled, .. }) = self.0.shelf.newest(id).await?;
        Ok(run.unwrap_or_else(|| {
            let mut info = info(id, &asked);
            if cancelled {
                cancel(&mut info);
            }
            info
        }))
    }

    /// The same once it has ended, or after some time.
    pub async fn wait(
        &self,
        id: &str,
        time: Duration,
    ) -> Result<MaintenanceInfo, MaintenanceError> {
        let end = tokio::time::Instant::now() + time;
        let mut pause = Duration::from_millis(10);
        loop {
            let info = self.get(id).await?;
            if info.state.is_final() || tokio::time::Instant::now() + pause > end {
                return Ok(info);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(250));
        }
    }

    /// Stops a maintenance: what was done stays done. One that has ended stays as it is.
    pub async fn cancel(&self, id: &str) -> Result<MaintenanceInfo, MaintenanceError> {
        let info = self.get(id).await?;
        if info.state.is_final() {
            return Ok(info);
        }
        self.0.shelf.cancel(id).await?;
        self.0.work.notify_one();
        self.wait(id, Duration::from_secs(2)).await
    }

    /// Carries orders out, and takes over what other servers left, until the server stops.
    pub async fn keep_working(&self) {
        let inner = &self.0;
        while !inner.stop.is_cancelled() {
            let pause = match inner.work().await {
                Ok(()) => inner.leases.time() / 3,
                Err(error) => {
                    tracing::warn!(%error, "orders of maintenance were not looked after");
                    SOON
                }
            };
            tokio::select! {
                () = inner.work.notified() => {}
                () = tokio::time::sleep(pause) => {}
                () = inner.stop.cancelled() => {}
            }
        }
    }

    /// Leaves what this server is at to others, at its next look, and begins nothing more.
    pub fn stop(&self) {
        self.0.stop.cancel();
    }
}

impl Inner {
    /// Carries out what is open, if nobody else does.
    async fn work(&self) -> Result<(), MaintenanceError> {
        for id in self.shelf.open().await? {
            if self.stop.is_cancelled() {
                break;
            }
            let lease = self.leases.take(&format!("maintenance-{id}")).await?;
            let Some(lease) = lease else { continue };
            let done = self.order(&id, &lease).await;
            lease.release().await?;
            done?;
        }
        Ok(())
    }

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

    /// Forgets orders and keys whose time is over.
    pub async fn sweep(&self) -> Result<(), MaintenanceError> {
        let keep = i64::try_from(self.rules.keep.as_millis()).unwrap_or(i64::MAX);
        let before = Utc::now().timestamp_millis().saturating_sub(keep);
        Ok(self.shelf.sweep(before, |asked| asked.created).await?)
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

/// An order that nobody began yet.
pub(super) fn info(id: &str, asked: &Asked) -> MaintenanceInfo {
    MaintenanceInfo {
        id: id.to_owned(),
        state: WorkState::Queued,
        principal: asked.principal.clone(),
        request_id: asked.request_id.clone(),
        created: asked.created,
        started: None,
        finished: None,
        attempts: 0,
        tables: asked.tables.iter().map(|table| MaintainedTable::queued(table)).collect(),
        error: None,
    }
}

/// What did not happen yet will not.
pub(super) fn cancel(info: &mut MaintenanceInfo) {
    for table in &mut info.tables {
        if matches!(table.state, MaintainedState::Queued | MaintainedState::Running) {
            table.state = MaintainedState::Skipped;
            table.why = Some("it was cancelled".to_owned());
        }
    }
    info.state = WorkState::Cancelled;
}
