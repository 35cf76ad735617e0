//! In which order rows get into files.

use std::sync::Arc;

use deltalake::arrow::array::{BooleanArray, RecordBatch};
use deltalake::arrow::compute::kernels::cmp::distinct;
use deltalake::arrow::compute::{SortOptions, filter_record_batch, partition};
use deltalake::arrow::error::ArrowError;
use deltalake::datafusion::error::DataFusionError;
use deltalake::datafusion::physical_expr::expressions::col;
use deltalake::datafusion::physical_expr::{LexOrdering, Partitioning, PhysicalSortExpr};
use deltalake::datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use deltalake::datafusion::physical_plan::repartition::RepartitionExec;
use deltalake::datafusion::physical_plan::sorts::sort::SortExec;
use deltalake::datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use deltalake::datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

/// The plan with the rows of each value of the first of some columns in one partition, sorted by
/// these columns and then by all others, so that equal rows follow each other.
pub(super) fn clustered(
    plan: Arc<dyn ExecutionPlan>,
    by: &[&str],
) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
    let schema = plan.schema();
    let mut rest: Vec<_> = schema.fields().iter().collect();
    rest.retain(|field| !by.contains(&field.name().as_str()));
    // Numbers first: they are sooner compared than texts, and moments sort readings.
    rest.sort_by_key(|field| !field.data_type().is_primitive());
    let rest = rest.into_iter().map(|field| field.name().as_str());
    let columns: Vec<&str> = by.iter().copied().chain(rest).collect();
    let Some(order) = order(&plan, &columns)? else { return Ok(plan) };
    let partitions = plan.output_partitioning().partition_count();
    let first = Arc::clone(&order.first().expr);
    let plan: Arc<dyn ExecutionPlan> = match partitions {
        1 => plan,
        _ => Arc::new(RepartitionExec::try_new(plan, Partitioning::Hash(vec![first], partitions))?),
    };
    Ok(Arc::new(SortExec::new(order, plan).with_preserve_partitioning(true)))
}

/// The plan with all rows in one partition, sorted by some columns.
pub(super) fn sorted(
    plan: Arc<dyn ExecutionPlan>,
    by: &[&str],
) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
    let Some(order) = order(&plan, by)? else {
        return Ok(Arc::new(CoalescePartitionsExec::new(plan)));
    };
    let sorted = SortExec::new(order.clone(), plan).with_preserve_partitioning(true);
    Ok(Arc::new(SortPreservingMergeExec::new(order, Arc::new(sorted))))
}

/// The order by columns of a plan; `None` by none.
fn order(
    plan: &Arc<dyn ExecutionPlan>,
    columns: &[&str],
) -> Result<Option<LexOrdering>, DataFusionError> {
    let schema = plan.schema();
    let by = columns.iter().map(|column| {
        let options = SortOptions::default();
        Ok(PhysicalSortExpr { expr: col(column, &schema)?, options })
    });
    Ok(LexOrdering::new(by.collect::<Result<Vec<_>, DataFusionError>>()?))
}

/// Takes rows in order, and gives each once. Null is equal to null.
#[derive(Debug, Default)]
pub(super) struct Once {
    /// The last row that was given.
    last: Option<RecordBatch>,
}

impl Once {
    /// The rows that are not like the one before them.
    pub fn of(&mut self, batch: RecordBatch) -> Result<RecordBatch, ArrowError> {
        let rows = batch.num_rows();
        if rows == 0 || batch.num_columns() == 0 {
            return Ok(batch);
        }
        let again = match &self.last {
            None => false,
            Some(last) => !differ(last, &batch.slice(0, 1))?,
        };
        self.last = Some(batch.slice(rows - 1, 1));
        let runs = partition(batch.columns())?;
        if !again && runs.len() == rows {
            return Ok(batch);
        }
        let mut first = vec![false; rows];
        for run in runs.ranges() {
            if let Some(row) = first.get_mut(run.start) {
                *row = run.start > 0 || !again;
            }
        }
        filter_record_batch(&batch, &BooleanArray::from(first))
    }
}

/// Whether two rows differ in a column.
fn differ(one: &RecordBatch, other: &RecordBatch) -> Result<bool, ArrowError> {
    for (one, other) in one.columns().iter().zip(other.columns()) {
        if distinct(one, other)?.true_count() > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// How many of the rows come before the first one, from a row on, whose value of a column is another
/// than that of the row before it; `None` if there is no such row.
pub(super) fn next_value(
    batch: &RecordBatch,
    column: &str,
    from: usize,
) -> Result<Option<usize>, ArrowError> {
    let Some(values) = batch.column_by_name(column) else { return Ok(Some(from)) };
    let runs = partition(std::slice::from_ref(values))?;
    let start = runs.ranges().into_iter().map(|run| run.start);
    Ok(start.filter(|start| *start > 0).find(|start| *start >= from))
}

#[cfg(test)]
mod tests {
    use deltalake::arrow::array::{Float64Array, StringArray};
    use deltalake::arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    fn batch(rows: &[(Option<&str>, Option<f64>)]) -> RecordBatch {
        let schema = Arc::new(Schema::new(vec![
            Field::new("a", DataType::Utf8, true),
            Field::new("b", DataType::Float64, true),
        ]));
        let a: StringArray = rows.iter().map(|row| row.0).collect();
        let b: Float64Array = rows.iter().map(|row| row.1).collect();
        RecordBatch::try_new(schema, vec![Arc::new(a), Arc::new(b)]).unwrap()
    }

    #[test]
    fn equal_rows_are_given_once_also_across_batches() {
        let mut once = Once::default();
        let first = [(None, None), (None, None), (Some("x"), Some(1.0)), (Some("x"), Some(2.0))];
        assert_eq!(
            once.of(batch(&first)).unwrap(),
            batch(&[(None, None), (Some("x"), Some(1.0)), (Some("x"), Some(2.0))])
        );
        let same = [(Some("x"), Some(2.0)), (Some("x"), Some(2.0))];
        assert_eq!(once.of(batch(&same)).unwrap().num_rows(), 0);
        assert_eq!(once.of(batch(&[])).unwrap().num_rows(), 0);
        let more = [(Some("x"), Some(2.0)), (Some("y"), None), (Some("y"), Some(0.0))];
        assert_eq!(
            once.of(batch(&more)).unwrap(),
            batch(&[(Some("y"), None), (Some("y"), Some(0.0))])
        );
    }

    #[test]
    fn where_a_value_begins() {
        let rows =
            batch(&[(None, None), (Some("x"), None), (Some("x"), Some(1.0)), (Some("y"), None)]);
        assert_eq!(next_value(&rows, "a", 0).unwrap(), Some(1));
        assert_eq!(next_value(&rows, "a", 2).unwrap(), Some(3));
        assert_eq!(next_value(&rows, "a", 4).unwrap(), None);
        assert_eq!(next_value(&rows, "none", 2).unwrap(), Some(2));
    }
}
