//! One server's attempt to carry work out, with signs of progress.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stedi_openapi::{Code, Work, WorkState};
use tokio_util::sync::CancellationToken;

use super::kind::{Ended, Kind, Recorded};
use super::orders::{Asked, Asker, Inner};
use crate::lake::{Author, Watch};
use crate::ledger::audit::{Draft, End, Outcome};
use crate::ledger::error::LedgerError;
use crate::ledger::leases::Lease;

/// How often progress is written, and it is looked whether somebody cancelled.
const PULSE: Duration = Duration::from_millis(500);

/// Work as this server carries it out.
#[derive(Debug)]
pub struct Attempt<'a, K: Kind> {
    inner: &'a Inner<K>,
    lease: &'a Lease,
    /// Its id.
    pub id: &'a str,
    /// What was asked, by whom.
    pub asked: &'a Asked<K::Order>,
    /// Stops what is being done, for whatever reason.
    pub stop: CancellationToken,
    /// Somebody cancelled it.
    cancelled: CancellationToken,
    run: Mutex<Work<K::Run>>,
}

impl<'a, K: Kind> Attempt<'a, K> {
    pub(super) fn new(
        inner: &'a Inner<K>,
        lease: &'a Lease,
        id: &'a str,
        asked: &'a Asked<K::Order>,
        run: Work<K::Run>,
    ) -> Self {
        let (stop, cancelled) = (CancellationToken::new(), CancellationToken::new());
        Self { inner, lease, id, asked, stop, cancelled, run: Mutex::new(run) }
    }

    /// What is told of it; what is changed here is written soon. Not to be held for long.
    pub fn run(&self) -> MutexGuard<'_, Work<K::Run>> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody cancelled it, and it is not merely left to others.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.is_cancelled()
    }

    /// Whoever asked, for commits.
    pub fn author(&self) -> Author {
        Author {
            who: self.asked.principal.clone(),
            request_id: self.asked.request_id.clone(),
            run: Some(self.id.to_owned()),
        }
    }

    /// For work that reads and writes rows: it ends with the attempt, and at the latest when the lease
    /// runs out.
    pub fn watch(&self) -> Watch {
        Watch::new(self.stop.child_token()).up_to(self.lease.until())
    }

    /// Whether it goes on: nobody wants it to stop, and no other server has it. To be asked before
    /// anything that others see.
    ///
    /// # Errors
    /// If the lake cannot be read.
    pub async fn goes_on(&self) -> Result<bool, LedgerError> {
        Ok(!self.stop.is_cancelled() && self.lease.is_held().await?)
    }

    /// Sees to it that it cannot be cancelled any more; false if it was before.
    ///
    /// # Errors
    /// If the lake cannot be read or written.
    pub async fn hold(&self) -> Result<bool, LedgerError> {
        let held = self.inner.shelf.hold(self.id).await?;
        if !held {
            self.cancelled.cancel();
        }
        Ok(held)
    }

    /// Other work that waits behind this one, with what was asked. Not for kinds of which several are
    /// carried out at a time.
    ///
    /// # Errors
    /// If the lake cannot be read.
    pub async fn others(&self) -> Result<Vec<(Asked<K::Order>, Work<K::Run>)>, LedgerError> {
        let mut others = Vec::new();
        for id in self.inner.shelf.open().await?.into_iter().filter(|id| id != self.id) {
            let found = self.inner.found(&id).await?;
            others.extend(found.filter(|(_, run)| !run.state.is_final()));
        }
        Ok(others)
    }

    /// Orders other work under an id that was decided on before, which waits behind this one and cannot
    /// be cancelled any more; an order that is there stays as it is. Nothing if somebody cancelled it.
    ///
    /// # Errors
    /// If the lake cannot be read or written.
    pub async fn also(
        &self,
        id: &str,
        asker: Asker,
        order: K::Order,
    ) -> Result<Option<(Asked<K::Order>, Work<K::Run>)>, LedgerError> {
        let placed = self.inner.placed_as(id, asker, order).await?;
        Ok(self.inner.shelf.hold(id).await?.then_some(placed))
    }

    /// Writes what was done for other work together with this one.
    ///
    /// # Errors
    /// If the lake cannot be written.
    pub async fn tell(&self, other: &Work<K::Run>) -> Result<(), LedgerError> {
        let other = Work { state: WorkState::Running, ..other.clone() };
        self.inner.shelf.write(&other.id, self.lease.epoch(), &other).await
    }

    /// Writes how far it is, now.
    ///
    /// # Errors
    /// If the lake cannot be written.
    pub async fn told(&self) -> Result<(), LedgerError> {
        let run = self.run().clone();
        self.inner.shelf.write(self.id, self.lease.epoch(), &run).await
    }

    /// Waits for a part of the work, and tells now and then how far it is.
    pub async fn with_progress<T>(
        &self,
        part: impl Future<Output = T>,
        tell: impl Fn(&mut K::Run),
    ) -> T {
        tokio::pin!(part);
        loop {
            let done = tokio::time::timeout(PULSE, &mut part).await;
            tell(&mut self.run().what);
            if let Ok(done) = done {
                return done;
            }
        }
    }

    /// Carries it out and gives it as it ended; `None` where somebody else has to go on.
    pub(super) async fn all(self) -> Result<Option<Work<K::Run>>, K::Error> {
        let Inner { shelf, audit, kind, .. } = self.inner;
        let epoch = self.lease.epoch();
        let (recorded, word) = {
            let run = self.run();
            (K::recorded(&run.what), K::word(&run.what))
        };
        let open = match recorded {
            None => None,
            Some(Recorded { tables, .. }) => {
                let draft = self.asked.draft(K::ACTION, format!("{word} {}", self.id));
                Some(audit.begin(Draft { tables, ..draft }).await?)
            }
        };
        let begun = self.run().clone();
        shelf.write(self.id, epoch, &begun).await?;
        *self.inner.here() = Some((self.id.to_owned(), self.cancelled.clone()));
        let done = CancellationToken::new();
        let work = async {
            let ended = kind.carry_out(&self).await;
            done.cancel();
            ended
        };
        let (ended, ()) = tokio::join!(work, self.pulse(&done, begun));
        *self.inner.here() = None;
        let mut run = self.run().clone();
        let end = match ended {
            Ok(Ended::Wholly) => End::ok(),
            Ok(Ended::Failed(code)) => End::other(Outcome::Failed, code.name()),
            Ok(Ended::Stopped) if self.is_cancelled() => {
                End::other(Outcome::Cancelled, Code::Cancelled.name())
            }
            Ok(Ended::Stopped) | Err(_) => End::other(Outcome::Interrupted, "left"),
        };
        let outcome = end.outcome;
        if let (Some(open), Some(Recorded { tables, rows_in })) = (open, K::recorded(&run.what)) {
            open.end(End { tables: Some(tables), rows_in, ..end }).await?;
        }
        run.state = match outcome {
            Outcome::Ok => WorkState::Succeeded,
            Outcome::Failed => WorkState::Failed,
            Outcome::Cancelled => WorkState::Cancelled,
            _ => {
                shelf.write(self.id, epoch, &run).await?;
                // Who lost the lease, as it was away for too long, may have been kept busy by it.
                if ended.is_err() || self.inner.stop.is_cancelled() {
                    shelf.leave(self.id, epoch).await?;
                }
                return ended.map(|_| None);
            }
        };
        Ok(Some(run))
    }

    /// Writes how far it is, and stops it where somebody wants that or the lease is lost.
    async fn pulse(&self, done: &CancellationToken, begun: Work<K::Run>) {
        let lost = self.lease.lost();
        // A store that hangs holds up what is written and asked, and must not hold up this.
        let stops = async {
            tokio::select! {
                () = done.cancelled() => {}
                () = lost.cancelled() => self.stop.cancel(),
                () = self.inner.stop.cancelled() => self.stop.cancel(),
                () = self.cancelled.cancelled() => self.stop.cancel(),
            }
        };
        tokio::join!(stops, self.tells(done, begun));
    }

    /// Writes how far it is, and looks whether somebody cancelled it.
    /// What it has begun to write it writes: nothing older may come after what is written at the end.
    async fn tells(&self, done: &CancellationToken, mut written: Work<K::Run>) {
        let shelf = &self.inner.shelf;
        loop {
            tokio::select! {
                () = done.cancelled() => return,
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(PULSE) => {}
            }
            match shelf.is_cancelled(self.id).await {
                Ok(true) => self.cancelled.cancel(),
                Ok(false) => {}
                // A store that fails for a moment ends nothing.
                Err(error) => tracing::warn!(kind = K::NAME, %error, "cancels are not heard"),
            }
            let run = self.run().clone();
            if run != written {
                // What is not written now is written later, or told by the end.
                if let Err(error) = shelf.write(self.id, self.lease.epoch(), &run).await {
                    tracing::warn!(kind = K::NAME, id = self.id, %error, "progress was not written");
                }
                written = run;
            }
        }
    }
}
