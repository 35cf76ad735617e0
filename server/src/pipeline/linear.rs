//! Whether a SELECT is linear in a source: its rows over old and new rows of the source are its
//! rows over the old ones and its rows over the new ones. Derived tables are sets, so that also
//! holds through DISTINCT, and on both sides of a semi join.

use deltalake::datafusion::common::tree_node::TreeNodeRecursion;
use deltalake::datafusion::error::DataFusionError;
use deltalake::datafusion::logical_expr::{Distinct, JoinType, LogicalPlan};

/// Why a SELECT is not linear in a source; `None` if it is.
pub(super) fn obstacle(
    plan: &LogicalPlan,
    source: &str,
) -> Result<Option<String>, DataFusionError> {
    let mut scans = 0;
    plan.apply_with_subqueries(|node| {
        if is_scan(node, source) {
            scans += 1;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    match scans {
        1 => below(plan, source),
        scans => Ok(Some(format!("it is read {scans} times"))),
    }
}

fn below(plan: &LogicalPlan, source: &str) -> Result<Option<String>, DataFusionError> {
    if is_scan(plan, source) {
        return Ok(None);
    }
    let mut inputs = Vec::new();
    for (at, input) in plan.inputs().into_iter().enumerate() {
        if reads(input, source)? {
            inputs.push((at, input));
        }
    }
    let Some((at, input)) = inputs.pop() else {
        return Ok(Some("it is read in a subquery of an expression".to_owned()));
    };
    let obstacle = match plan {
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Union(_)
        | LogicalPlan::Distinct(Distinct::All(_)) => None,
        LogicalPlan::Aggregate(aggregate) if aggregate.aggr_expr.is_empty() => None,
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => None,
        LogicalPlan::Join(join) => match (join.join_type, at) {
            (JoinType::Inner | JoinType::LeftSemi | JoinType::RightSemi, _)
            | (JoinType::Left | JoinType::LeftAnti | JoinType::LeftMark, 0)
            | (JoinType::Right | JoinType::RightAnti | JoinType::RightMark, 1) => None,
            (kind, _) => Some(format!("it is on a side of a {kind} join whose rows may go")),
        },
        LogicalPlan::Aggregate(_) => Some("it is read below an aggregate".to_owned()),
        LogicalPlan::Window(_) => Some("it is read below a window function".to_owned()),
        LogicalPlan::Limit(_) | LogicalPlan::Sort(_) => Some("it is read below a LIMIT".to_owned()),
        LogicalPlan::Distinct(_) => Some("it is read below DISTINCT ON".to_owned()),
        other => Some(format!("it is read below {}", other.display())),
    };
    match obstacle {
        None => below(input, source),
        found => Ok(found),
    }
}

fn is_scan(plan: &LogicalPlan, source: &str) -> bool {
    matches!(plan, LogicalPlan::TableScan(scan) if scan.table_name.table() == source)
}

fn reads(plan: &LogicalPlan, source: &str) -> Result<bool, DataFusionError> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        found |= is_scan(node, source);
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}
