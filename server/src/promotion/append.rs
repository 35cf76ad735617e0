//! Mode `append`: new rows of linear sources go through the SELECT alone.
//!
//! With several changed sources the new rows are the union of the SELECT over each source's new
//! rows and all rows of the others. What two new rows give together is found twice, which changes
//! nothing: derived tables are sets.

use std::sync::Arc;

use deltalake::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use deltalake::arrow::compute::{max, max_string, min, min_string};
use deltalake::arrow::datatypes::{DataType, Int64Type};
use deltalake::datafusion::logical_expr::{Expr, ident, lit};
use futures::StreamExt;

use super::difference::{Difference, Halted, LIMIT};
use super::error::PromotionError;
use super::row_set::RowSet;
use super::select::select;
use super::sources::Changed;
use super::work::Work;
use crate::lake::conform;

/// What the SELECT gives over the new rows, and the table does not hold yet.
pub(super) async fn append(work: &Work<'_>, changed: &[Changed]) -> Result<Difference, Halted> {
    let schema = work.table.schema()?;
    let mut rows = RowSet::new(&schema, LIMIT)?;
    for new in changed {
        let session = work.lake.sessions().session();
        for source in work.sources.all().filter(|source| source.table() != new.name) {
            source.register(&session, source.table())?;
        }
        new.changes.inserted.register(&session, &new.name)?;
        work.watch.read(new.changes.inserted.rows());
        let plan = select(&session, work.derived, work.options, None).await?;
        work.each_row(&session, plan, |batch| rows.insert(batch)).await?;
    }
    if !rows.is_empty() {
        let session = work.lake.sessions().session();
        let mut held = session.read_table(Arc::new(work.table.files()?));
        if let Some(near) = near(&rows.batches()?) {
            held = held.and_then(|held| held.filter(near));
        }
        let failed = PromotionError::reading(&work.derived.name);
        let mut held = held.map_err(failed)?.execute_stream().await.map_err(failed)?;
        while let Some(batch) = held.next().await {
            work.watch.go_on()?;
            rows.remove(&conform(&batch.map_err(failed)?, &schema).map_err(failed)?)?;
        }
    }
    Ok(Difference { inserts: rows.batches()?, ..Difference::default() })
}

/// What may be equal to one of these rows: within their bounds, column by column. Files and pages
/// outside are not read at all.
fn near(batches: &[RecordBatch]) -> Option<Expr> {
    let schema = batches.first()?.schema();
    let within = schema.fields().iter().enumerate().filter_map(|(at, field)| {
        let columns: Vec<&ArrayRef> = batches.iter().map(|batch| batch.column(at)).collect();
        if columns.iter().any(|column| column.null_count() > 0) {
            return None;
        }
        let (min, max) = bounds(&columns)?;
        Some(ident(field.name()).between(min, max))
    });
    within.reduce(Expr::and)
}

/// The least and the greatest value; `None` for types whose bounds seldom help.
fn bounds(columns: &[&ArrayRef]) -> Option<(Expr, Expr)> {
    match columns.first()?.data_type() {
        DataType::Int64 => {
            let columns = || columns.iter().map(|column| column.as_primitive::<Int64Type>());
            Some((lit(columns().filter_map(min).min()?), lit(columns().filter_map(max).max()?)))
        }
        DataType::Utf8 => {
            let columns = || columns.iter().map(|column| column.as_string::<i32>());
            let low = columns().filter_map(min_string).min()?;
            Some((lit(low), lit(columns().filter_map(max_string).max()?)))
        }
        _ => None,
    }
}
