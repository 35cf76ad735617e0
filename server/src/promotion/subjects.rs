//! Mode `subjects`: the rows of the touched keys are computed anew and compared with those that
//! the table holds.

use std::sync::Arc;

use deltalake::arrow::array::BooleanArray;
use deltalake::arrow::compute::filter_record_batch;
use deltalake::datafusion::error::DataFusionError;
use deltalake::datafusion::execution::SendableRecordBatchStream;
use deltalake::datafusion::logical_expr::{Expr, ident};
use futures::StreamExt;

use super::difference::{Difference, Halted, LIMIT};
use super::error::PromotionError;
use super::row_set::RowSet;
use super::select::select;
use super::touched::Touched;
use super::work::Work;
use crate::lake::{DataFiles, conform};

/// The rows of the touched keys that come and go.
pub(super) async fn subjects(work: &Work<'_>, touched: &Touched) -> Result<Difference, Halted> {
    let schema = work.table.schema()?;
    let by = work.derived.replace_by.as_str();
    let failed = PromotionError::reading(&work.derived.name);
    let Ok(key) = schema.index_of(by) else { return Err(Halted::TooMuch("it has no key")) };
    let held = work.table.files()?;
    if held.may_hold_null(by) {
        return Err(Halted::TooMuch("it holds rows without a key"));
    }

    let session = work.lake.sessions().session();
    let claims = work.pipeline.claims().map(|(source, _)| source.name.as_str());
    for source in work.sources.all() {
        let name = source.table();
        // Whether a shared device counts depends on people who were not touched: customers and
        // their claims are never left out.
        let narrow =
            work.derived.linear.iter().any(|linear| linear == name) && Some(name) != claims;
        match touched.inputs(source, by).filter(|_| narrow) {
            None => source.register(&session, name)?,
            Some(inputs) => {
                let rows = session.read_table(Arc::new(source.clone())).map_err(failed)?;
                let view = rows.filter(inputs).map_err(failed)?.into_view();
                session.register_table(name, view).map_err(failed)?;
            }
        }
    }
    // A row without a key could never be replaced again.
    let only = touched.rows(by).or(ident(by).is_null());
    let plan = select(&session, work.derived, work.options, Some(only)).await?;
    let mut inserts = RowSet::new(&schema, LIMIT)?;
    let mut keyless = false;
    work.each_row(&session, plan, |batch| {
        keyless |= batch.column(key).null_count() > 0;
        inserts.insert(batch)
    })
    .await?;
    if keyless {
        return Err(Halted::TooMuch("it gets rows without a key"));
    }

    let mut deletes = RowSet::new(&schema, LIMIT)?;
    let mut files = Vec::new();
    let held = held.holding(by, &touched.keys);
    for (file, rows) in held.each().zip(pieces(work, &held, touched.rows(by)).await?) {
        let before = deletes.len();
        let mut rows = rows;
        while let Some(batch) = rows.next().await {
            work.watch.go_on()?;
            let batch = conform(&batch.map_err(failed)?, &schema).map_err(failed)?;
            let gone = inserts.remove(&batch)?.into_iter().map(|stays| Some(!stays));
            deletes.insert(&filter_record_batch(&batch, &gone.collect::<BooleanArray>())?)?;
        }
        if deletes.len() > before {
            files.push(file);
        }
    }
    Ok(Difference { inserts: inserts.batches()?, deletes: Some(deletes), files })
}

/// Some rows of each file, by one plan.
async fn pieces(
    work: &Work<'_>,
    files: &DataFiles,
    only: Expr,
) -> Result<Vec<SendableRecordBatchStream>, PromotionError> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let failed = PromotionError::reading(&work.derived.name);
    let session = work.lake.sessions().in_pieces();
    let rows = session.read_table(Arc::new(files.clone().apart())).map_err(failed)?;
    let rows = rows.filter(only).map_err(failed)?;
    let streams = rows.execute_stream_partitioned().await.map_err(failed)?;
    match streams.len() == files.len() {
        true => Ok(streams),
        false => Err(PromotionError::reading(&work.derived.name)(DataFusionError::Internal(
            format!("{} files were read as {} pieces", files.len(), streams.len()),
        ))),
    }
}
