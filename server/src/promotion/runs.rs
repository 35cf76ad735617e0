//! A run as long work: table by table, with signs of progress.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use stedi_openapi::{Code, PromotedTable, PromotionCause, PromotionInfo, PromotionRun, TableState};
use tracing::Instrument;

use super::error::PromotionError;
use super::plan::Mode;
use super::run::{Promotion, TableRun};
use super::runs_table;
use crate::lake::{Lake, LakeError, Watch};
use crate::ledger::audit::Action;
use crate::ledger::{Asked, Attempt, Ended, Kind, Recorded};

/// Runs that bring derived tables up to date.
#[derive(Clone, Debug)]
pub struct Runs {
    pub(super) promotion: Promotion,
    pub(super) lake: Lake,
}

/// What is asked of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// The tables, in dependency order.
    pub(super) tables: Vec<String>,
    pub(super) cause: PromotionCause,
}

impl Kind for Runs {
    const NAME: &'static str = "promotion";
    const FOLDER: &'static str = "system/promotions";
    const ONE_AT_A_TIME: bool = true;
    const ACTION: Action = Action::Promotion;
    const UNKNOWN: Code = Code::PromotionNotFound;
    const FULL: Code = Code::PromotionsWait;

    type Order = Order;
    type Run = PromotionRun;
    type Error = PromotionError;

    fn queued(asked: &Asked<Order>) -> PromotionRun {
        let Order { tables, cause } = &asked.order;
        let tables = tables.iter().map(|table| PromotedTable::queued(table)).collect();
        PromotionRun { cause: *cause, tables }
    }

    fn resumed(run: &mut PromotionRun) {
        for table in run.tables.iter_mut().filter(|table| !table.state.is_final()) {
            *table = PromotedTable::queued(&table.table);
        }
    }

    fn given_up(run: &mut PromotionRun) {
        for table in run.tables.iter_mut().filter(|table| !table.state.is_final()) {
            table.state = TableState::Cancelled;
        }
    }

    fn recorded(run: &PromotionRun) -> Option<Recorded> {
        let rows = run.tables.iter().map(|table| table.rows_inserted).sum();
        let tables = run.tables.iter().map(|table| (table.table.clone(), table.version));
        Some(Recorded { tables: tables.collect(), rows_in: Some(rows) })
    }

    async fn carry_out(&self, attempt: &Attempt<'_, Self>) -> Result<Ended, PromotionError> {
        let count = attempt.run().what.tables.len();
        for at in 0..count {
            self.table(attempt, at).await;
        }
        let run = attempt.run();
        let tables = &run.what.tables;
        let undone = tables.iter().any(|table| !table.state.is_final());
        let failed = tables.iter().any(|table| table.state == TableState::Failed);
        Ok(match (failed, undone) {
            (true, _) if !undone || attempt.is_cancelled() => Ended::Failed(Code::PromotionFailed),
            (_, true) => Ended::Stopped,
            (_, false) => Ended::Wholly,
        })
    }

    async fn settled(
        &self,
        run: &PromotionInfo,
        asked: &Asked<Order>,
    ) -> Result<(), PromotionError> {
        runs_table::append(&self.lake, run, asked.request_id.clone()).await?;
        self.lake.metrics().promotion(run.state.name());
        Ok(())
    }
}

impl Runs {
    /// Brings a table up to date, unless one that it reads was not, or the run is to stop.
    async fn table(&self, attempt: &Attempt<'_, Self>, at: usize) {
        let (table, taken_over) = {
            let mut run = attempt.run();
            let taken_over = run.attempts > 1;
            let missing = run.what.tables.get(at).and_then(|it| self.missing(&run.what, &it.table));
            let Some(table) = run.what.tables.get_mut(at) else { return };
            if table.state.is_final() || attempt.stop.is_cancelled() {
                return;
            }
            if let Some(source) = missing {
                table.state = TableState::Skipped;
                table.mode = Some("skipped".to_owned());
                table.why = Some(format!("{source} is not up to date"));
                return;
            }
            table.state = TableState::Running;
            (table.table.clone(), taken_over)
        };
        let (watch, since) = (Arc::new(attempt.watch()), Instant::now());
        let author = attempt.author();
        let span = tracing::info_span!("promote", table);
        let promoted = self.promotion.promote(&table, &author, &watch).instrument(span);
        let tell = |run: &mut PromotionRun| {
            if let Some(table) = run.tables.get_mut(at) {
                progress(table, &watch, since);
            }
        };
        let mut done = attempt.with_progress(promoted, tell).await;
        if taken_over && matches!(&done, Ok(run) if run.mode == Mode::Nothing) {
            // A server that ended may have done it, and not lived to say so.
            match self.promotion.done_in(&table, attempt.id).await {
                Ok(Some(run)) => done = Ok(run),
                Ok(None) => {}
                Err(error) => tracing::warn!(promotion = attempt.id, %error, "not looked up"),
            }
        }
        if let Some(table) = attempt.run().what.tables.get_mut(at) {
            self.ended(attempt.id, table, done);
        }
    }

    /// What became of a table.
    fn ended(
        &self,
        promotion: &str,
        table: &mut PromotedTable,
        done: Result<TableRun, PromotionError>,
    ) {
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
                self.lake.metrics().table_promoted(&table.table, run.mode.name(), seconds);
            }
            // Whoever stopped it knows what that means for it.
            Err(PromotionError::Lake(LakeError::Cancelled)) => table.state = TableState::Queued,
            Err(error) => {
                tracing::error!(promotion, table = table.table, %error, "a table was not promoted");
                table.state = TableState::Failed;
                if let PromotionError::Rules { checks, .. } = &error {
                    table.checks.clone_from(checks);
                }
                table.error = Some(error.problem());
            }
        }
    }

    /// The first source of a table that this run should have brought up to date, and did not.
    fn missing(&self, run: &PromotionRun, table: &str) -> Option<String> {
        let sources = self.promotion.sources_of(table);
        let missing = run.tables.iter().find(|other| {
            sources.contains(&other.table)
                && matches!(other.state, TableState::Failed | TableState::Skipped)
        });
        missing.map(|other| other.table.clone())
    }
}

fn progress(table: &mut PromotedTable, watch: &Watch, since: Instant) {
    table.rows_read = watch.rows_read.load(Ordering::Relaxed);
    table.rows_written = watch.rows_written.load(Ordering::Relaxed);
    table.millis = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
}
