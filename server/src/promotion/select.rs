//! The SELECT of a table over sources that stand for its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use deltalake::datafusion::logical_expr::{Distinct, Expr, LogicalPlan, LogicalPlanBuilder};
use deltalake::datafusion::prelude::SessionContext;

use super::error::PromotionError;
use crate::lake::session;
use crate::pipeline::Derived;

/// Plans the SELECT over the tables of a session, and keeps its rows where `only` holds.
///
/// Derived tables are sets: equal rows are one row. Whoever takes the rows makes them one, in a set or
/// in the order of a file, so that a DISTINCT around everything would only do it twice.
pub(super) async fn select(
    session: &SessionContext,
    derived: &Derived,
    options: &BTreeMap<String, String>,
    only: Option<Expr>,
) -> Result<LogicalPlan, PromotionError> {
    let failed = PromotionError::reading(&derived.name);
    let plan = session.state().create_logical_plan(&derived.sql).await.map_err(failed)?;
    let plan = session::bind(plan, options).map_err(failed)?;
    let plan = match plan {
        LogicalPlan::Distinct(Distinct::All(rows)) => Arc::unwrap_or_clone(rows),
        plan => plan,
    };
    match only {
        None => Ok(plan),
        Some(only) => LogicalPlanBuilder::from(plan)
            .filter(only)
            .and_then(|plan| plan.build())
            .map_err(failed),
    }
}
