//! Mode `rebuild`: the whole table anew, from one version of each source, in one commit.

use serde_json::Value;

use super::checks::{State, check};
use super::difference::Done;
use super::error::PromotionError;
use super::lineage::Lineage;
use super::select::select;
use super::work::Work;
use crate::lake::{Change, Mode, write_set};
use crate::pipeline::stored_columns;

/// Replaces all rows of the table by what its SELECT gives over the sources; its columns become
/// those of the SELECT.
///
/// # Errors
/// [`LakeError::Conflict`](crate::lake::LakeError::Conflict) if the table changed meanwhile.
pub(super) async fn rebuild(
    work: &Work<'_>,
    lineage: Lineage,
    info: Value,
) -> Result<Done, PromotionError> {
    let columns = stored_columns(&work.derived.columns);
    let session = work.lake.sessions().session();
    for source in work.sources.all() {
        source.register(&session, source.table())?;
        work.watch.read(source.rows());
    }
    let plan = select(&session, work.derived, work.options, None).await?;
    let before = work.table.stats()?.rows;
    let by = work.derived.clustered_by();
    let written = write_set(&session, plan, work.table, &columns, &by, work.watch).await?;
    let rows_inserted = written.rows;
    let mut checks = Vec::new();
    if !work.derived.checks.is_empty() {
        let all = work.table.written(&written, &columns)?;
        checks = match check(work, &State { inserted: all.clone(), all }).await {
            Ok(checks) => checks,
            Err(error) => {
                written.discard(work.table).await;
                return Err(error);
            }
        };
    }
    work.watch.go_on()?;
    let change = Change {
        mode: Mode::Overwrite,
        written: written.clone(),
        columns: Some(columns),
        txns: lineage.into_txns(),
        author: work.author.clone(),
        info,
    };
    let table = work.commit(change, written).await?;
    Ok(Done { table, rows_inserted, rows_deleted: before, checks })
}
