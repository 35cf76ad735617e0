//! Carries work out that nobody else is at, and takes over what other servers left.

use std::time::Duration;

use chrono::Utc;
use stedi_openapi::{Code, Problem, WorkState};
use tokio::time::Instant;
use tracing::Instrument;
use tracing::field::Empty;

use super::attempt::Attempt;
use super::kind::Kind;
use super::orders::{Inner, LongWork, queued};
use crate::ledger::error::LedgerError;
use crate::ledger::leases::Lease;

/// Servers that may end while they are at it; it may be what ends them.
const ATTEMPTS: u32 = 4;
/// How soon it is looked again after an error, or whether work of somebody else's is over.
const SOON: Duration = Duration::from_millis(500);
/// How often work whose time is over is looked for.
const SWEEP: Duration = Duration::from_secs(3600);

/// What everything that is logged of a run stands in.
fn run_span(kind: &'static str, id: &str) -> tracing::Span {
    tracing::info_span!("run", kind, run_id = id, request_id = Empty)
}

impl<K: Kind> LongWork<K> {
    /// Carries work out until the server stops.
    pub async fn keep_working(&self) {
        let inner = &self.0;
        let mut swept: Option<Instant> = None;
        while !inner.stop.is_cancelled() {
            let pause = match inner.work().await {
                Ok(true) => inner.leases.time() / 3,
                Ok(false) => SOON,
                Err(error) => {
                    tracing::warn!(kind = K::NAME, %error, "work was not looked after");
                    SOON
                }
            };
            if swept.is_none_or(|at| at.elapsed() > SWEEP) {
                swept = Some(Instant::now());
                if let Err(error) = inner.sweep().await {
                    tracing::warn!(kind = K::NAME, %error, "old work was not removed");
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

impl<K: Kind> Inner<K> {
    /// Carries out what is open, if nobody else does; false where another server holds it up.
    async fn work(&self) -> Result<bool, K::Error> {
        let open = self.shelf.open().await?;
        if K::ONE_AT_A_TIME && !open.is_empty() {
            let Some(lease) = self.leases.take(K::NAME).await? else { return Ok(false) };
            let done = self.work_off(&lease).await;
            lease.release().await?;
            return done.map(|()| true);
        }
        for id in open {
            if self.stop.is_cancelled() {
                break;
            }
            let lease = self.leases.take(&format!("{}-{id}", K::NAME)).await?;
            let Some(lease) = lease else { continue };
            let done = self.one(&id, &lease).instrument(run_span(K::NAME, &id)).await;
            lease.release().await?;
            done?;
        }
        Ok(true)
    }

    /// One after another, oldest first.
    async fn work_off(&self, lease: &Lease) -> Result<(), K::Error> {
        while !self.stop.is_cancelled() && !lease.lost().is_cancelled() {
            let Some(id) = self.shelf.open().await?.into_iter().next() else { break };
            self.one(&id, lease).instrument(run_span(K::NAME, &id)).await?;
        }
        Ok(())
    }

    /// Brings work to its end, wherever it is, or leaves it to whoever is next.
    async fn one(&self, id: &str, lease: &Lease) -> Result<(), K::Error> {
        let read = async {
            let Some(asked) = self.shelf.asked(id).await? else { return Ok(None) };
            self.shelf.keep(id, &asked).await?;
            Ok::<_, LedgerError>(Some((asked, self.shelf.newest(id, lease.epoch()).await?)))
        };
        let (asked, (found, attempts)) = match read.await {
            Ok(Some(read)) => read,
            Ok(None) => return Ok(self.shelf.close(id).await?),
            // It would be in the way of all others for ever.
            Err(error @ LedgerError::Unreadable { .. }) => {
                tracing::error!(kind = K::NAME, id, %error, "given up");
                return Ok(self.shelf.close(id).await?);
            }
            Err(error) => return Err(error.into()),
        };
        // Whoever asked is found by it, however much later and on whichever server this runs.
        tracing::Span::current().record("request_id", asked.request_id.as_deref());
        let mut run = found.unwrap_or_else(|| queued::<K>(id, &asked));
        if !run.state.is_final() {
            run.attempts = attempts.count + 1;
            run.started = run.started.or(Some(Utc::now().timestamp_millis()));
            run.state = WorkState::Running;
            if attempts.count > 0 {
                let kind = K::word(&run.what);
                tracing::info!(kind, id, attempts = run.attempts, "taken over");
                K::resumed(&mut run.what);
            }
            if attempts.cancelled {
                run.state = WorkState::Cancelled;
            } else if attempts.broken_off() >= ATTEMPTS {
                run.state = WorkState::Failed;
                let detail = "the servers that carried it out ended before it did";
                run.error = Some(Problem::of(Code::Internal, detail));
            } else {
                match Attempt::new(self, lease, id, &asked, run).all().await? {
                    // Somebody else goes on.
                    None => return Ok(()),
                    Some(ended) => run = ended,
                }
            }
            if run.state != WorkState::Succeeded {
                K::given_up(&mut run.what);
            }
            run.finished = Some(Utc::now().timestamp_millis());
            self.shelf.write(id, lease.epoch(), &run).await?;
            self.ended.notify_waiters();
            let kind = K::word(&run.what);
            tracing::info!(kind, id, state = run.state.name(), "ended");
        }
        self.kind.settled(&run, &asked).await?;
        Ok(self.shelf.close(id).await?)
    }

    /// Removes work and keys whose time is over.
    async fn sweep(&self) -> Result<(), LedgerError> {
        let keep = i64::try_from(self.rules.keep.as_millis()).unwrap_or(i64::MAX);
        let before = Utc::now().timestamp_millis().saturating_sub(keep);
        self.shelf.sweep(before, |asked| asked.created).await
    }
}
