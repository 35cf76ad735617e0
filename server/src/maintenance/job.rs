//! One server's attempt at an order: table by table, with signs of life.

use std::time::Duration;

use chrono::Utc;
use stedi_openapi::{Code, MaintainedState, MaintainedTable, MaintenanceInfo, Problem, WorkState};
use tokio_util::sync::CancellationToken;

use super::error::MaintenanceError;
use super::service::{Asked, Inner, cancel, info};
use crate::auth::Role;
use crate::lake::Author;
use crate::ledger::Lease;
use crate::ledger::audit::{Action, Draft, End, Outcome, Versions};

/// How often progress is written, and it is looked whether somebody cancelled.
const PULSE: Duration = Duration::from_millis(500);
/// Servers after which an order has failed: it may be what ends them.
const ATTEMPTS: u32 = 4;

/// An order as this server carries it out.
struct Job<'a> {
    inner: &'a Inner,
    lease: &'a Lease,
    id: &'a str,
    asked: &'a Asked,
    run: MaintenanceInfo,
    /// Stops what is being done, for whatever reason.
    stop: CancellationToken,
    /// Somebody cancelled the order.
    cancelled: bool,
}

impl Inner {
    /// Brings an order to its end, or leaves it to whoever is next.
    pub(super) async fn order(&self, id: &str, lease: &Lease) -> Result<(), MaintenanceError> {
        let Some(asked) = self.shelf.asked(id).await? else {
            return Ok(self.shelf.close(id).await?);
        };
        self.shelf.keep(id, &asked).await?;
        let (found, attempts) = self.shelf.newest(id).await?;
        let mut run = found.unwrap_or_else(|| info(id, &asked));
        if run.state.is_final() {
            return Ok(self.shelf.close(id).await?);
        }
        run.attempts = attempts.count + 1;
        run.started = run.started.or(Some(Utc::now().timestamp_millis()));
        run.state = WorkState::Running;
        if attempts.cancelled {
            cancel(&mut run);
        } else if attempts.count >= ATTEMPTS {
            cancel(&mut run);
            run.state = WorkState::Failed;
            let detail = "the servers that carried it out ended before it did";
            run.error = Some(Problem::of(Code::Internal, detail));
        } else {
            let (stop, asked) = (self.stop.child_token(), &asked);
            let job = Job { inner: self, lease, id, asked, run, stop, cancelled: false };
            match job.all().await? {
                // Somebody else goes on.
                None => return Ok(()),
                Some(ended) => run = ended,
            }
        }
        run.finished = Some(Utc::now().timestamp_millis());
        self.shelf.write(id, lease.epoch(), &run).await?;
        Ok(self.shelf.close(id).await?)
    }
}

impl Job<'_> {
    /// Carries it out and gives it as it ended; `None` where somebody else has to go on.
    async fn all(mut self) -> Result<Option<MaintenanceInfo>, MaintenanceError> {
        let open = self.inner.audit.begin(self.draft()).await?;
        let inner = self.inner;
        let turn = self.alive(inner.turn.lock()).await?;
        for place in 0..self.run.tables.len() {
            if self.stop.is_cancelled() {
                break;
            }
            self.table(place).await?;
        }
        drop(turn);
        let undone = self.run.tables.iter().any(|table| !ended(table));
        let failed = self.run.tables.iter().any(|table| table.state == MaintainedState::Failed);
        let tables = Some(versions(&self.run.tables));
        if undone && !self.cancelled {
            let end = End::other(Outcome::Interrupted, "left");
            open.end(End { tables, ..end }).await?;
            self.inner.shelf.write(self.id, self.lease.epoch(), &self.run).await?;
            return Ok(None);
        }
        let end = match (failed, self.cancelled) {
            (true, _) => End::other(Outcome::Failed, Code::Internal.name()),
            (false, true) => End::other(Outcome::Cancelled, Code::Cancelled.name()),
            (false, false) => End::ok(),
        };
        open.end(End { tables, ..end }).await?;
        if self.cancelled {
            cancel(&mut self.run);
        } else {
            self.run.state = WorkState::Succeeded;
        }
        if failed {
            self.run.state = WorkState::Failed;
        }
        Ok(Some(self.run))
    }

    async fn table(&mut self, place: usize) -> Result<(), MaintenanceError> {
        let Some(table) = self.run.tables.get_mut(place).filter(|table| !ended(table)) else {
            return Ok(());
        };
        let name = table.table.clone();
        table.state = MaintainedState::Running;
        let inner = self.inner;
        let target = inner.targets.iter().find(|target| target.name == name);
        let done = match target {
            // Another server, with another pipeline, took the order.
            None => MaintainedTable {
                state: MaintainedState::Skipped,
                why: Some("it is not declared".to_owned()),
                ..MaintainedTable::queued(&name)
            },
            Some(target) => {
                let (author, stop) = (self.author(), self.stop.clone());
                self.alive(inner.maintain(target, &author, &stop, true)).await?
            }
        };
        // What was stopped, but not by a cancel, is done by whoever is next.
        let left = self.stop.is_cancelled() && !self.cancelled;
        if let Some(table) = self.run.tables.get_mut(place).filter(|_| !left) {
            *table = done;
        }
        Ok(())
    }

    /// Waits for work, with signs of life, and stops it when somebody cancels the order or the lease
    /// is lost. Work is never dropped: it ends by itself.
    async fn alive<T>(&mut self, work: impl Future<Output = T>) -> Result<T, MaintenanceError> {
        tokio::pin!(work);
        let lost = self.lease.lost();
        self.inner.shelf.write(self.id, self.lease.epoch(), &self.run).await?;
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                () = tokio::time::sleep(PULSE) => {}
            }
            // A store that fails for a moment ends nothing.
            match self.inner.shelf.is_cancelled(self.id).await {
                Ok(cancelled) => self.cancelled |= cancelled,
                Err(error) => tracing::warn!(%error, "cancels are not heard"),
            }
            if self.cancelled || lost.is_cancelled() {
                self.stop.cancel();
            }
            if let Err(error) = self.inner.shelf.write(self.id, self.lease.epoch(), &self.run).await
            {
                tracing::warn!(%error, "progress was not written");
            }
        }
    }

    fn author(&self) -> Author {
        Author {
            who: self.asked.principal.clone(),
            request_id: self.asked.request_id.clone(),
            run: Some(self.id.to_owned()),
        }
    }

    /// What is recorded when it begins.
    fn draft(&self) -> Draft {
        let roles = self.asked.roles.iter().filter_map(|role| Role::parse(role));
        Draft {
            principal: Some(self.asked.principal.clone()),
            roles: roles.map(Role::name).collect(),
            request_id: self.asked.request_id.clone(),
            tables: self.asked.tables.iter().map(|table| (table.clone(), None)).collect(),
            ..Draft::new(Action::Maintenance, format!("maintenance {}", self.id))
        }
    }
}

fn ended(table: &MaintainedTable) -> bool {
    !matches!(table.state, MaintainedState::Queued | MaintainedState::Running)
}

/// The tables and their versions.
pub(super) fn versions(tables: &[MaintainedTable]) -> Versions {
    tables.iter().map(|table| (table.table.clone(), table.version)).collect()
}
