//! Takes orders for runs, and says when they begin by themselves.

use std::sync::Arc;
use std::time::Duration;

use stedi_openapi::{PromotionCause, PromotionInfo};
use tokio::sync::Notify;

use super::error::PromotionError;
use super::run::Promotion;
use super::runs::{Order, Runs};
use super::schedule::Schedule;
use crate::lake::Lake;
use crate::ledger::audit::Audit;
use crate::ledger::{Asker, LongWork, WorkRules};

/// How runs are kept and when they begin by themselves.
#[derive(Clone, Debug)]
pub struct PromotionRules {
    /// How they are kept. Rows of `system.runs` stay.
    pub work: WorkRules,
    /// When runs begin by themselves.
    pub schedule: Option<Schedule>,
    /// How long after a load a run begins; `None` for never. Loads meanwhile are in the same run.
    pub after_load: Option<Duration>,
}

/// The runs of a lake; clones are the same.
#[derive(Clone, Debug)]
pub struct Promotions {
    work: LongWork<Runs>,
    pub(super) schedule: Option<Schedule>,
    pub(super) after_load: Option<Duration>,
    /// Something was loaded.
    pub(super) loads: Arc<Notify>,
}

impl Promotions {
    /// The runs of a lake's pipeline.
    pub fn new(lake: Lake, promotion: Promotion, audit: Audit, rules: PromotionRules) -> Self {
        let PromotionRules { work, schedule, after_load } = rules;
        let runs = Runs { promotion, lake: lake.clone() };
        let work = LongWork::new(&lake, runs, audit, work);
        Self { work, schedule, after_load, loads: Arc::default() }
    }

    /// All that runs have in common with other long work.
    pub fn work(&self) -> &LongWork<Runs> {
        &self.work
    }

    /// Orders a run of some tables, or all. With a key, the same order of the same principal is
    /// taken once.
    ///
    /// # Errors
    /// [`PromotionError::NotDerived`], [`PromotionError::NoTables`], and those of
    /// [`LongWork::ask`].
    pub async fn ask(
        &self,
        asker: Asker,
        cause: PromotionCause,
        tables: Option<&[String]>,
        key: Option<&str>,
    ) -> Result<PromotionInfo, PromotionError> {
        let tables = self.in_order(tables)?;
        Ok(self.work.ask(asker, Order { tables, cause }, key).await?)
    }

    /// The derived tables of these names, each behind those that it reads; all without names.
    pub(super) fn in_order(
        &self,
        tables: Option<&[String]>,
    ) -> Result<Vec<String>, PromotionError> {
        self.work.kind().promotion.in_order(tables)
    }

    /// Something was loaded: where the pipeline says so, a run follows.
    pub fn loaded(&self) {
        self.loads.notify_one();
    }
}
