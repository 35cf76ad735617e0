//! Plans give way to others.
//!
//! DataFusion counts what a task does only where rows enter a plan: an aggregate over a cross join of
//! a few rows runs for hours between two looks at its input. Until then no other task gets its
//! thread, no limit ends the statement and nobody can cancel it. So whatever may give more rows than
//! it takes is counted as well.

use std::sync::Arc;

use deltalake::datafusion::common::Result;
use deltalake::datafusion::common::config::ConfigOptions;
use deltalake::datafusion::common::tree_node::{Transformed, TreeNode};
use deltalake::datafusion::physical_optimizer::PhysicalOptimizerRule;
use deltalake::datafusion::physical_plan::ExecutionPlan;
use deltalake::datafusion::physical_plan::coop::CooperativeExec;
use deltalake::datafusion::physical_plan::execution_plan::{CardinalityEffect, SchedulingType};

/// Counts the batches of joins and the like against the time that a task has before it gives way.
#[derive(Debug)]
pub(super) struct Yielding;

impl PhysicalOptimizerRule for Yielding {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let counted = plan.transform_up(|plan| {
            let counts = plan.properties().scheduling_type == SchedulingType::Cooperative;
            let more = !matches!(
                plan.cardinality_effect(),
                CardinalityEffect::Equal | CardinalityEffect::LowerEqual
            );
            Ok(match more && !counts && !plan.children().is_empty() {
                true => Transformed::yes(Arc::new(CooperativeExec::new(plan)) as _),
                false => Transformed::no(plan),
            })
        });
        Ok(counted?.data)
    }

    fn name(&self) -> &str {
        "yielding"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
