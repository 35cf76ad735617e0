//! The SELECT of a table over sources that stand for its own.

use std::collections::BTreeMap;

use deltalake::datafusion::logical_expr::{Distinct, Expr, LogicalPlan, LogicalPlanBuilder};
use deltalake::datafusion::prelude::SessionContext;

use super::error::PromotionError;
use crate::lake::session;
use crate::pipeline::Derived;

/// Plans the SELECT over the tables of a session, and keeps its rows where `only` holds. Derived
/// tables are sets: equal rows are one row.
pub(super) async fn select(
    session: &SessionContext,
    derived: &Derived,
    options: &BTreeMap<String, String>,
    only: Option<Expr>,
) -> Result<LogicalPlan, PromotionError> {
    let failed = PromotionError::reading(&derived.name);
    let plan = session.state().create_logical_plan(&derived.sql).await.map_err(failed)?;
    let plan = session::bind(plan, options).map_err(failed)?;
    let distinct = matches!(plan, LogicalPlan::Distinct(Distinct::All(_)));
    let mut plan = LogicalPlanBuilder::from(plan);
    if let Some(only) = only {
        plan = plan.filter(only).map_err(failed)?;
    }
    if !distinct {
        plan = plan.distinct().map_err(failed)?;
    }
    plan.build().map_err(failed)
}
