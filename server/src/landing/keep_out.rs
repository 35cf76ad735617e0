//! An erasure overtook a load: what it wrote is looked through again before it is committed. Its bytes
//! came in a stream and are not there any more, so it is the files that are read.

use std::collections::BTreeSet;
use std::sync::Arc;

use deltalake::arrow::array::AsArray;
use deltalake::arrow::datatypes::Int64Type;

use super::decoding::Tally;
use super::error::LandingError;
use super::load::Landing;
use super::once::Tables;
use super::suppress;
use super::tables::{landing_columns, rejected_columns};
use crate::lake::Written;
use crate::ledger::SuppressionList;
use crate::pipeline::{LINE, Source};

/// What a load wrote and has not committed.
pub(super) struct Files {
    pub rows: Written,
    pub rejects: Written,
    pub tally: Tally,
    /// Whose records are not in them.
    pub list: Arc<SuppressionList>,
}

impl Files {
    /// Removes them.
    pub async fn discard(&self, tables: &Tables) {
        self.rows.clone().discard(&tables.rows).await;
        self.rejects.clone().discard(&tables.rejects).await;
    }
}

impl Landing {
    /// Takes out of files what a list keeps out that is as new as the fence of the tables; out of the
    /// rejects only if they are not committed yet.
    ///
    /// # Errors
    /// If the lake cannot be read or written. The files stay for maintenance to judge.
    pub(super) async fn keep_out(
        &self,
        source: &Source,
        tables: &Tables,
        files: &mut Files,
        rejects_too: bool,
    ) -> Result<(), LandingError> {
        let fence = tables.fence()?;
        if files.list.number() >= fence {
            return Ok(());
        }
        let list = self.suppression.at_least(fence).await?;
        let columns = landing_columns(source);
        let kept_out = suppress::rows(source, &list);
        let written = tables.rows.written(&files.rows, &columns)?;
        let rows = tables.rows.without(&self.lake, written, &columns, kept_out, false).await?;
        let mut gone = rows.gone;
        files.rows = rows.of(std::mem::take(&mut files.rows)).await;
        if rejects_too {
            let columns = rejected_columns();
            let kept_out = suppress::rejects(source, &list, |_| false);
            let written = tables.rejects.written(&files.rejects, &columns)?;
            let mut lines = BTreeSet::new();
            self.each(&written, kept_out.clone(), &[LINE], |batch| {
                let numbers = batch.column(0).as_primitive::<Int64Type>();
                lines.extend(numbers.iter().flatten().map(i64::unsigned_abs));
                Ok(())
            })
            .await?;
            let rows =
                tables.rejects.without(&self.lake, written, &columns, kept_out, false).await?;
            gone += rows.gone;
            files.tally.rejected -= rows.gone.min(files.tally.rejected);
            files.tally.rejects.retain(|reject| !lines.contains(&reject.line));
            files.rejects = rows.of(std::mem::take(&mut files.rejects)).await;
        }
        files.tally.suppressed += gone;
        tracing::info!(table = source.name, fence, gone, "an erasure overtook a load");
        files.list = list;
        Ok(())
    }
}
