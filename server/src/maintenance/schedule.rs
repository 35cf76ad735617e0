//! Maintains all tables now and then.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::error::MaintenanceError;
use super::job::versions;
use super::service::{Inner, Maintenance};
use crate::lake::Author;
use crate::ledger::audit::{Action, Draft, End};

/// How long it may take to end when the server stops.
const PATIENCE: Duration = Duration::from_secs(2);
/// Who does it.
const WHO: &str = "service";

impl Maintenance {
    /// Maintains all tables now and then until the server stops. All servers of a lake do; the leases
    /// let one of them do a table.
    pub async fn keep_schedule(&self) {
        let (inner, stop) = (&self.inner, self.work().stopping());
        let Some(every) = inner.rules.every else { return };
        loop {
            // Servers that were started together should not meet at every table.
            let pause = every.mul_f64(rand::random_range(0.8..1.2));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
            // It ends by itself when the server stops, but not at once while it reads a long log.
            let patience = async {
                stop.cancelled().await;
                tokio::time::sleep(PATIENCE).await;
            };
            tokio::select! {
                ended = inner.all(stop) => if let Err(error) = ended {
                    tracing::warn!(%error, "maintenance was not recorded");
                },
                () = patience => return,
            }
        }
    }
}

impl Inner {
    /// Every table once. What was done is recorded; nothing is where nothing was.
    async fn all(&self, stop: &CancellationToken) -> Result<(), MaintenanceError> {
        let _turn = self.turn.lock().await;
        let author = Author::new(WHO);
        let mut changed = Vec::new();
        for target in &self.targets {
            if stop.is_cancelled() {
                break;
            }
            let report = self.maintain(target, &author, stop, false).await;
            if report.changed() {
                changed.push(report);
            }
        }
        if !changed.is_empty() {
            let who = Some(WHO.to_owned());
            let draft = Draft { principal: who, ..Draft::new(Action::Maintenance, "schedule") };
            let end = End { tables: Some(versions(&changed)), ..End::ok() };
            self.audit.record(draft, end).await?;
        }
        Ok(())
    }
}
