//! One server's attempt to carry a run out: table by table, with signs of progress.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use stedi_openapi::{PromotedTable, PromotionInfo, TableState, WorkState};
use tokio_util::sync::CancellationToken;

use super::asked::Asked;
use super::error::PromotionError;
use super::plan::Mode;
use super::run::TableRun;
use super::service::{Inner, cancel};
use crate::auth::Role;
use crate::lake::{Author, LakeError, Watch};
use crate::ledger::Lease;
use crate::ledger::audit::{Action, Draft, End, Outcome};

/// How often progress is written, and it is looked whether somebody cancelled.
const PULSE: Duration = Duration::from_millis(500);

/// A run as this server carries it out.
pub(super) struct Attempt<'a> {
    inner: &'a Inner,
    lease: &'a Lease,
    id: &'a str,
    asked: &'a Asked,
    now: Mutex<Now>,
    /// Stops what is being done, for whatever reason.
    stop: CancellationToken,
    /// Somebody cancelled the run.
    cancelled: CancellationToken,
}

/// How far it is.
struct Now {
    run: PromotionInfo,
    /// The table that is being brought up to date.
    at: Option<(usize, Arc<Watch>, Instant)>,
}

impl Now {
    /// The run with what is known of the table that it is at.
    fn run(&mut self) -> PromotionInfo {
        if let Some((at, watch, since)) = &self.at
            && let Some(table) = self.run.tables.get_mut(*at)
        {
            progress(table, watch, *since);
        }
        self.run.clone()
    }
}

impl<'a> Attempt<'a> {
    pub fn new(
        inner: &'a Inner,
        lease: &'a Lease,
        id: &'a str,
        asked: &'a Asked,
        mut run: PromotionInfo,
    ) -> Self {
        for table in run.tables.iter_mut().filter(|table| !table.state.is_final()) {
            *table = PromotedTable::queued(&table.table);
        }
        let now = Mutex::new(Now { run, at: None });
        let stop = CancellationToken::new();
        let cancelled = CancellationToken::new();
        Self { inner, lease, id, asked, now, stop, cancelled }
    }

    /// Carries it out and gives the run as it ended; `None` where somebody else has to go on.
    pub async fn all(self) -> Result<Option<PromotionInfo>, PromotionError> {
        let open = self.inner.audit.begin(self.draft()).await?;
        let run = self.now().run();
        self.inner.shelf.write(self.id, self.lease.epoch(), &run).await?;
        *self.inner.here() = Some((self.id.to_owned(), self.cancelled.clone()));
        let done = CancellationToken::new();
        let work = async {
            self.tables().await;
            done.cancel();
        };
        let ((), ()) = tokio::join!(work, self.pulse(&done));
        *self.inner.here() = None;
        let mut run = self.now().run();
        let failed = run.tables.iter().any(|table| table.state == TableState::Failed);
        let undone = run.tables.iter().any(|table| !table.state.is_final());
        let end = |outcome, code| End { tables: Some(versions(&run)), ..End::other(outcome, code) };
        if undone && !self.cancelled.is_cancelled() {
            open.end(end(Outcome::Interrupted, "left")).await?;
            return Ok(None);
        }
        let end = match (failed, undone) {
            (true, _) => end(Outcome::Failed, "promotion_failed"),
            (false, true) => end(Outcome::Cancelled, "cancelled"),
            (false, false) => {
                let rows = run.tables.iter().map(|table| table.rows_inserted).sum();
                End { rows_in: Some(rows), tables: Some(versions(&run)), ..End::ok() }
            }
        };
        open.end(end).await?;
        run.state = match failed {
            true => WorkState::Failed,
            false => WorkState::Succeeded,
        };
        if undone {
            cancel(&mut run);
        }
        Ok(Some(run))
    }

    /// Brings the tables up to date, each unless one that it reads was not.
    async fn tables(&self) {
        let (count, taken_over) = {
            let now = self.now();
            (now.run.tables.len(), now.run.attempts > 1)
        };
        for at in 0..count {
            let Some(table) = self.now().run.tables.get(at).cloned() else { return };
            if table.state.is_final() {
                continue;
            }
            if self.stop.is_cancelled() {
                return;
            }
            if let Some(source) = self.missing(&table.table) {
                let mut now = self.now();
                if let Some(table) = now.run.tables.get_mut(at) {
                    table.state = TableState::Skipped;
                    table.mode = Some("skipped".to_owned());
                    table.why = Some(format!("{source} is not up to date"));
                }
                continue;
            }
            let watch = Arc::new(Watch::new(self.stop.child_token()));
            let since = Instant::now();
            {
                let mut now = self.now();
                if let Some(table) = now.run.tables.get_mut(at) {
                    table.state = TableState::Running;
                }
                now.at = Some((at, Arc::clone(&watch), since));
            }
            let author = Author {
                who: self.asked.principal.clone(),
                request_id: self.asked.request_id.clone(),
                run: Some(self.id.to_owned()),
            };
            let mut done = self.inner.promotion.promote(&table.table, &author, &watch).await;
            if taken_over && matches!(&done, Ok(run) if run.mode == Mode::Nothing) {
                // A server that ended may have done it, and not lived to say so.
                match self.inner.promotion.done_in(&table.table, self.id).await {
                    Ok(Some(run)) => done = Ok(run),
                    Ok(None) => {}
                    Err(error) => tracing::warn!(promotion = self.id, %error, "not looked up"),
                }
            }
            let mut now = self.now();
            now.at = None;
            if let Some(table) = now.run.tables.get_mut(at) {
                progress(table, &watch, since);
                self.ended(table, done);
            }
        }
    }

    /// What became of a table.
    fn ended(&self, table: &mut PromotedTable, done: Result<TableRun, PromotionError>) {
        match done {
            Ok(run) => {
                table.state = TableState::Succeeded;
                table.mode = Some(run.mode.name().to_owned());
                table.why = Some(run.why.to_string());
                table.rows_inserted = run.rows_inserted;
                table.rows_deleted = run.rows_deleted;
                table.sources = run.sources.into_iter().collect();
                table.version = Some(run.version);
                table.millis = run.millis;
                table.checks = run.checks;
                let seconds = Duration::from_millis(run.millis);
                self.inner.lake.metrics().table_promoted(&table.table, run.mode.name(), seconds);
            }
            // Whoever stopped it knows what that means for it.
            Err(PromotionError::Lake(LakeError::Cancelled)) => table.state = TableState::Queued,
            Err(error) => {
                let (promotion, name) = (self.id, &table.table);
                tracing::error!(promotion, table = name, %error, "a table was not promoted");
                table.state = TableState::Failed;
                if let PromotionError::Rules { checks, .. } = &error {
                    table.checks.clone_from(checks);
                }
                table.error = Some(error.problem());
            }
        }
    }

    /// The first source of a table that this run should have brought up to date, and did not.
    fn missing(&self, table: &str) -> Option<String> {
        let sources = self.inner.promotion.sources_of(table);
        let now = self.now();
        let missing = now.run.tables.iter().find(|other| {
            sources.contains(&other.table)
                && matches!(other.state, TableState::Failed | TableState::Skipped)
        });
        missing.map(|other| other.table.clone())
    }

    /// Writes how far it is, and hears who wants it to stop.
    async fn pulse(&self, done: &CancellationToken) {
        let lost = self.lease.lost();
        let mut written = self.now().run();
        loop {
            tokio::select! {
                () = done.cancelled() => return,
                () = lost.cancelled() => self.stop.cancel(),
                () = self.inner.stop.cancelled() => self.stop.cancel(),
                () = self.cancelled.cancelled() => self.stop.cancel(),
                () = tokio::time::sleep(PULSE) => {}
            }
            if self.stop.is_cancelled() {
                return done.cancelled().await;
            }
            let cancelled = self.inner.shelf.is_cancelled(self.id).await;
            if matches!(cancelled, Ok(true)) {
                self.cancelled.cancel();
                continue;
            }
            let run = self.now().run();
            if run != written {
                // What is not written now is written later, or told by the end.
                if let Err(error) = self.inner.shelf.write(self.id, self.lease.epoch(), &run).await
                {
                    tracing::warn!(promotion = self.id, %error, "progress was not written");
                }
                written = run;
            }
        }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn draft(&self) -> Draft {
        let tables = self.asked.tables.iter().map(|table| (table.clone(), None));
        let roles = self.asked.roles.iter().filter_map(|role| Role::parse(role));
        Draft {
            roles: roles.map(Role::name).collect(),
            principal: Some(self.asked.principal.clone()),
            request_id: self.asked.request_id.clone(),
            tables: tables.collect(),
            ..Draft::new(Action::Promotion, format!("promotion {}", self.id))
        }
    }
}

fn progress(table: &mut PromotedTable, watch: &Watch, since: Instant) {
    table.rows_read = watch.rows_read.load(Ordering::Relaxed);
    table.rows_written = watch.rows_written.load(Ordering::Relaxed);
    table.millis = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
}

/// The tables of a run with their versions afterwards.
fn versions(run: &PromotionInfo) -> BTreeMap<String, Option<u64>> {
    run.tables.iter().map(|table| (table.table.clone(), table.version)).collect()
}
