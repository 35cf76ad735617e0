//! Maintenance as long work: table by table.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stedi_openapi::{Code, MaintainedState, MaintainedTable, MaintenanceRun};

use super::error::MaintenanceError;
use super::service::Inner;
use crate::ledger::audit::{Action, Versions};
use crate::ledger::{Asked, Attempt, Ended, Kind, Recorded};

/// Maintenance that somebody asked for.
#[derive(Clone, Debug)]
pub struct Upkeep(pub(super) Arc<Inner>);

/// What is asked of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// In the order in which they are declared.
    pub(super) tables: Vec<String>,
}

impl Kind for Upkeep {
    const NAME: &'static str = "maintenance";
    const FOLDER: &'static str = "system/maintenance";
    const ONE_AT_A_TIME: bool = false;
    const ACTION: Action = Action::Maintenance;
    const UNKNOWN: Code = Code::MaintenanceNotFound;
    const FULL: Code = Code::Busy;

    type Order = Order;
    type Run = MaintenanceRun;
    type Error = MaintenanceError;

    fn queued(asked: &Asked<Order>) -> MaintenanceRun {
        let tables = asked.order.tables.iter().map(|table| MaintainedTable::queued(table));
        MaintenanceRun { tables: tables.collect() }
    }

    fn given_up(run: &mut MaintenanceRun) {
        for table in run.tables.iter_mut().filter(|table| !ended(table)) {
            table.state = MaintainedState::Skipped;
            table.why = Some("it was cancelled".to_owned());
        }
    }

    fn recorded(run: &MaintenanceRun) -> Option<Recorded> {
        Some(Recorded { tables: versions(&run.tables), rows_in: None })
    }

    async fn carry_out(&self, attempt: &Attempt<'_, Self>) -> Result<Ended, MaintenanceError> {
        let turn = tokio::select! {
            turn = self.0.turn.lock() => turn,
            () = attempt.stop.cancelled() => return Ok(Ended::Stopped),
        };
        let count = attempt.run().what.tables.len();
        for place in 0..count {
            self.table(attempt, place).await;
        }
        drop(turn);
        let run = attempt.run();
        let failed = run.what.tables.iter().any(|it| it.state == MaintainedState::Failed);
        let undone = run.what.tables.iter().any(|table| !ended(table));
        Ok(match (failed, undone) {
            (true, _) if !undone || attempt.is_cancelled() => Ended::Failed(Code::Internal),
            _ if undone || attempt.is_cancelled() => Ended::Stopped,
            _ => Ended::Wholly,
        })
    }
}

impl Upkeep {
    /// Maintains a table, unless it was, or the maintenance is to stop.
    async fn table(&self, attempt: &Attempt<'_, Self>, place: usize) {
        let name = {
            let mut run = attempt.run();
            let Some(table) = run.what.tables.get_mut(place).filter(|table| !ended(table)) else {
                return;
            };
            if attempt.stop.is_cancelled() {
                return;
            }
            table.state = MaintainedState::Running;
            table.table.clone()
        };
        let target = self.0.targets.iter().find(|target| target.name == name);
        let done = match target {
            // Another server, with another pipeline, took the order.
            None => MaintainedTable {
                state: MaintainedState::Skipped,
                why: Some("it is not declared".to_owned()),
                ..MaintainedTable::queued(&name)
            },
            Some(target) => self.0.maintain(target, &attempt.author(), &attempt.stop, true).await,
        };
        // What was stopped, but not by a cancel, is done by whoever is next.
        let left = attempt.stop.is_cancelled() && !attempt.is_cancelled();
        if let Some(table) = attempt.run().what.tables.get_mut(place).filter(|_| !left) {
            *table = done;
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
