//! Makes every plan give way to others now and then.
//!
//! A task that never waits is never stopped: neither its time limit, nor a cancel, nor a client that
//! hangs up reaches it, and it keeps a thread of the runtime to itself. DataFusion counts what a plan
//! takes from its leaves (`EnsureCooperative`), but a join of two tables with ten rows each has made
//! a hundred of them, and one of twenty such tables runs for years on twenty batches. So what leaves
//! a node that can make more than it takes is counted, too.

use std::sync::Arc;

use deltalake::datafusion::common::Result;
use deltalake::datafusion::common::config::ConfigOptions;
use deltalake::datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use deltalake::datafusion::physical_optimizer::PhysicalOptimizerRule;
use deltalake::datafusion::physical_plan::ExecutionPlan;
use deltalake::datafusion::physical_plan::coop::CooperativeExec;

/// Puts a node that gives way above every join and everything else that makes rows.
#[derive(Debug)]
pub(super) struct GiveWay;

impl PhysicalOptimizerRule for GiveWay {
    fn name(&self) -> &str {
        "GiveWay"
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
            Ok(match plan.children().len() > 1 || plan.name() == "UnnestExec" {
                true => Transformed::yes(Arc::new(CooperativeExec::new(plan)) as _),
                false => Transformed::no(plan),
            })
        })
        .data()
    }
}
