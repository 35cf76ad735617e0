//! One table that is being brought up to date, with everything that it takes.

use std::collections::BTreeMap;
use std::sync::Arc;

use deltalake::arrow::array::RecordBatch;
use deltalake::datafusion::logical_expr::LogicalPlan;
use deltalake::datafusion::physical_plan::execute_stream;
use deltalake::datafusion::prelude::SessionContext;
use futures::StreamExt;

use super::claims::KnownClaims;
use super::difference::Halted;
use super::error::PromotionError;
use super::row_set::NotTaken;
use super::sources::Sources;
use crate::lake::{Author, Change, Lake, LakeError, Table, Watch, Written, commit, conform};
use crate::pipeline::{Derived, Pipeline};

/// What one attempt works on.
pub(super) struct Work<'a> {
    pub lake: &'a Lake,
    pub pipeline: &'a Pipeline,
    pub derived: &'a Derived,
    pub options: &'a BTreeMap<String, String>,
    /// The table as it was when the attempt began.
    pub table: &'a Table,
    pub sources: &'a Sources,
    pub author: &'a Author,
    pub watch: &'a Arc<Watch>,
    /// Who claims which device, as it was last looked up.
    pub claims: &'a KnownClaims,
}

impl Work<'_> {
    /// Commits a change with these files. If somebody else was faster they are removed: they would hold
    /// rows that the next attempt may not have. So they are where the run is somebody else's by now.
    ///
    /// # Errors
    /// [`LakeError::Conflict`] if somebody else changed the table meanwhile.
    pub async fn commit(&self, change: Change, files: Written) -> Result<Table, PromotionError> {
        if let Err(stopped) = self.watch.go_on() {
            files.give_up(self.table).await;
            return Err(stopped.into());
        }
        match commit(self.lake, self.derived.zone.name(), self.table, change).await {
            Err(error @ LakeError::Conflict { .. }) => {
                files.give_up(self.table).await;
                Err(error.into())
            }
            committed => Ok(committed?),
        }
    }

    /// Runs a plan and hands its rows on in the stored types, batch by batch.
    pub async fn each_row(
        &self,
        session: &SessionContext,
        plan: LogicalPlan,
        mut take: impl FnMut(&RecordBatch) -> Result<(), NotTaken>,
    ) -> Result<(), Halted> {
        let failed = PromotionError::reading(&self.derived.name);
        let schema = self.table.schema()?;
        let plan = session.state().create_physical_plan(&plan).await.map_err(failed)?;
        let plan = self.watch.stop_when().stops(plan).map_err(failed)?;
        let mut rows = execute_stream(plan, session.task_ctx()).map_err(failed)?;
        while let Some(batch) = rows.next().await {
            self.watch.go_on()?;
            take(&conform(&batch.map_err(failed)?, &schema).map_err(failed)?)?;
        }
        Ok(())
    }
}
