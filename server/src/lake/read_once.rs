//! Keeps plans from being read a second time, from which less would come.
//!
//! A nested loop join whose left side does not fit into memory runs that side once more, to spill it
//! (DataFusion 55, `NestedLoopJoinExec`, its memory-limited mode). But a scan gives each of its files
//! once, whoever asks (`DataSourceExec` keeps one queue of files for its life): the second time only
//! those come that nobody has opened yet, and the join is missing rows without a word. So the second
//! time is an error, and the statement ends as one that takes more memory than it may.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use deltalake::datafusion::common::config::ConfigOptions;
use deltalake::datafusion::common::tree_node::{
    Transformed, TransformedResult, TreeNode, TreeNodeRecursion,
};
use deltalake::datafusion::common::{DataFusionError, Result, Statistics, internal_datafusion_err};
use deltalake::datafusion::execution::TaskContext;
use deltalake::datafusion::physical_optimizer::PhysicalOptimizerRule;
use deltalake::datafusion::physical_plan::execution_plan::{
    ChildrenPropertiesMode, ReplaceChildrenOptions,
};
use deltalake::datafusion::physical_plan::joins::NestedLoopJoinExec;
use deltalake::datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use deltalake::datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PhysicalExpr,
    PlanProperties, SendableRecordBatchStream,
};

/// Puts a [`ReadOnceExec`] below the left side of every nested loop join.
#[derive(Debug)]
pub(super) struct ReadOnce;

impl PhysicalOptimizerRule for ReadOnce {
    fn name(&self) -> &str {
        "ReadOnce"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            let any: &dyn Any = plan.as_ref();
            let Some(join) = any.downcast_ref::<NestedLoopJoinExec>() else {
                return Ok(Transformed::no(plan));
            };
            let left = Arc::new(ReadOnceExec::new(Arc::clone(join.left())));
            let right = Arc::clone(join.right());
            let same = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep);
            Ok(Transformed::yes(Arc::clone(&plan).replace_children(vec![left, right], same)?))
        })
        .data()
    }
}

/// A plan each of whose partitions can be run once.
#[derive(Debug)]
struct ReadOnceExec {
    input: Arc<dyn ExecutionPlan>,
    /// By partition, whether it was.
    read: Vec<AtomicBool>,
}

impl ReadOnceExec {
    fn new(input: Arc<dyn ExecutionPlan>) -> Self {
        let partitions = input.output_partitioning().partition_count();
        let read = (0..partitions).map(|_| AtomicBool::new(false)).collect();
        Self { input, read }
    }
}

impl DisplayAs for ReadOnceExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadOnceExec")
    }
}

impl ExecutionPlan for ReadOnceExec {
    fn name(&self) -> &str {
        "ReadOnceExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.pop().ok_or_else(|| internal_datafusion_err!("a plan of nothing"))?;
        Ok(Arc::new(Self::new(input)))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let read = self.read.get(partition);
        if read.is_none_or(|read| read.swap(true, Ordering::Relaxed)) {
            let what = "the left side of a nested loop join does not fit into memory";
            return Err(DataFusionError::ResourcesExhausted(what.to_owned()));
        }
        self.input.execute(partition, context)
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(
        &self,
        input: &[Arc<Statistics>],
        _: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        input.first().cloned().ok_or_else(|| internal_datafusion_err!("a plan of nothing"))
    }
}
