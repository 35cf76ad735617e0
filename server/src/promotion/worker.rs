//! Carries runs out, one at a time in the whole lake: whoever holds the lease.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use stedi_openapi::{Code, Problem, WorkState};

use super::attempt::Attempt;
use super::error::PromotionError;
use super::service::{Inner, Promotions, cancel, info};
use super::{asked::Asked, runs_table};
use crate::ledger::{Lease, LedgerError};

/// The name of the lease.
const LEASE: &str = "promotion";
/// Servers after which a run has failed: it may be what ends them.
const ATTEMPTS: u32 = 4;
/// How soon it is looked again whether a run of somebody else's is over.
const SOON: Duration = Duration::from_millis(500);
/// How often runs whose time is over are looked for.
const SWEEP: Duration = Duration::from_secs(3600);

/// Whether there may be more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Nothing,
    /// Another server is at it.
    Others,
}

impl Promotions {
    /// Carries runs out, and takes over what other servers left, until the server stops.
    pub async fn keep_working(&self) {
        let inner = &self.0;
        let mut swept: Option<tokio::time::Instant> = None;
        while !inner.stop.is_cancelled() {
            let pause = match inner.work().await {
                Ok(Left::Nothing) => inner.leases.time() / 3,
                Ok(Left::Others) => SOON,
                Err(error) => {
                    tracing::warn!(%error, "promotions were not looked after");
                    SOON
                }
            };
            if swept.is_none_or(|at| at.elapsed() > SWEEP) {
                swept = Some(tokio::time::Instant::now());
                if let Err(error) = inner.sweep().await {
                    tracing::warn!(%error, "old promotions were not removed");
                }
            }
            tokio::select! {
                () = inner.work.notified() => {}
                () = tokio::time::sleep(pause) => {}
                () = inner.stop.cancelled() => {}
            }
        }
    }
}

impl Inner {
    /// Carries out what is open, if nobody else does.
    async fn work(self: &Arc<Self>) -> Result<Left, PromotionError> {
        if self.shelf.open().await?.is_empty() {
            return Ok(Left::Nothing);
        }
        let Some(lease) = self.leases.take(LEASE).await? else { return Ok(Left::Others) };
        let done = self.work_off(&lease).await;
        lease.release().await?;
        done.map(|()| Left::Nothing)
    }

    async fn work_off(&self, lease: &Lease) -> Result<(), PromotionError> {
        while !self.stop.is_cancelled() && !lease.lost().is_cancelled() {
            let Some(id) = self.shelf.open().await?.into_iter().next() else { break };
            match self.one(&id, lease).await {
                Ok(()) => {}
                // It would be in the way of all others for ever.
                Err(error @ PromotionError::Ledger(LedgerError::Unreadable { .. })) => {
                    tracing::error!(promotion = id, %error, "given up");
                    self.shelf.close(&id).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Brings one run to its end, wherever it is.
    async fn one(&self, id: &str, lease: &Lease) -> Result<(), PromotionError> {
        let Some(asked) = self.shelf.asked(id).await? else {
            return Ok(self.shelf.close(id).await?);
        };
        self.shelf.keep(id, &asked).await?;
        let (found, attempts) = self.shelf.newest(id).await?;
        let mut run = found.unwrap_or_else(|| info(id, &asked));
        if run.state.is_final() {
            return self.settle(&run, &asked).await;
        }
        let now = Utc::now().timestamp_millis();
        run.attempts = attempts.count + 1;
        run.started = run.started.or(Some(now));
        run.state = WorkState::Running;
        if attempts.count > 0 {
            tracing::info!(promotion = id, attempts = run.attempts, "taken over");
        }
        if attempts.cancelled {
            cancel(&mut run);
        } else if attempts.count >= ATTEMPTS {
            cancel(&mut run);
            run.state = WorkState::Failed;
            let detail = "the servers that carried it out ended before it did";
            run.error = Some(Problem::of(Code::Internal, detail));
        } else {
            let attempt = Attempt::new(self, lease, id, &asked, run);
            match attempt.all().await? {
                // Somebody else goes on.
                None => return Ok(()),
                Some(ended) => run = ended,
            }
        }
        run.finished = Some(Utc::now().timestamp_millis());
        self.shelf.write(id, lease.epoch(), &run).await?;
        self.ended.notify_waiters();
        tracing::info!(promotion = id, state = run.state.name(), "promotion ended");
        self.lake.metrics().promotion(run.state.name());
        self.settle(&run, &asked).await
    }

    /// What follows the end of a run; again and again until all of it has happened.
    async fn settle(
        &self,
        run: &stedi_openapi::PromotionInfo,
        asked: &Asked,
    ) -> Result<(), PromotionError> {
        runs_table::append(&self.lake, run, asked).await?;
        Ok(self.shelf.close(&run.id).await?)
    }

    /// Removes runs and keys whose time is over.
    async fn sweep(&self) -> Result<(), PromotionError> {
        let keep = i64::try_from(self.rules.keep.as_millis()).unwrap_or(i64::MAX);
        let before = Utc::now().timestamp_millis().saturating_sub(keep);
        Ok(self.shelf.sweep(before, |asked| asked.created).await?)
    }
}
