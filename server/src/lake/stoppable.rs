//! Makes plans stop in the middle of a join that gives nothing.
//!
//! A nested loop join looks at every pair of rows, and of a whole batch with all rows of the other
//! side before it can give way. Where none of them match, neither a time limit nor a cancel reaches
//! it from outside. So its condition looks now and then whether it is to stop.

use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use deltalake::arrow::array::RecordBatch;
use deltalake::arrow::datatypes::{DataType, Schema};
use deltalake::datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use deltalake::datafusion::common::{Result, exec_err};
use deltalake::datafusion::logical_expr::ColumnarValue;
use deltalake::datafusion::physical_plan::joins::utils::JoinFilter;
use deltalake::datafusion::physical_plan::joins::{NestedLoopJoinExec, NestedLoopJoinExecBuilder};
use deltalake::datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};

/// Whether a plan is to stop; asked for every few thousand rows.
#[derive(Clone)]
pub struct StopWhen(Arc<dyn Fn() -> bool + Send + Sync>);

impl StopWhen {
    /// When this says so.
    pub fn new(told: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(told))
    }

    /// The same plan, which stops with an error when it is told to.
    ///
    /// # Errors
    /// If a node cannot be made anew.
    pub fn stops(&self, plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            let any: &dyn Any = plan.as_ref();
            let Some(join) = any.downcast_ref::<NestedLoopJoinExec>() else {
                return Ok(Transformed::no(plan));
            };
            let Some(filter) = join.filter() else { return Ok(Transformed::no(plan)) };
            let condition =
                Condition { inner: Arc::clone(filter.expression()), stop: self.clone() };
            let filter = JoinFilter::new(
                Arc::new(condition),
                filter.column_indices().to_vec(),
                Arc::clone(filter.schema()),
            );
            let join = NestedLoopJoinExecBuilder::from(join).with_filter(Some(filter)).build()?;
            Ok(Transformed::yes(Arc::new(join) as _))
        })
        .data()
    }
}

impl fmt::Debug for StopWhen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StopWhen")
    }
}

/// A condition that fails when it is to stop.
#[derive(Debug)]
struct Condition {
    inner: Arc<dyn PhysicalExpr>,
    stop: StopWhen,
}

impl PhysicalExpr for Condition {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.inner.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.inner.nullable(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        if (self.stop.0)() {
            return exec_err!("the statement was stopped");
        }
        self.inner.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.inner]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let inner = children.into_iter().next().unwrap_or_else(|| Arc::clone(&self.inner));
        Ok(Arc::new(Self { inner, stop: self.stop.clone() }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_sql(f)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.inner.eq(&other.inner)
    }
}

impl Eq for Condition {}

impl Hash for Condition {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}
