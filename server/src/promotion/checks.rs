//! Quality rules are looked at before a table is published: of the rows that come, and of the table
//! as it will be where a rule is about all of it.

use std::sync::Arc;

use deltalake::arrow::array::AsArray;
use deltalake::arrow::datatypes::Int64Type;
use deltalake::datafusion::common::JoinType;
use deltalake::datafusion::dataframe::DataFrame;
use deltalake::datafusion::error::DataFusionError;
use deltalake::datafusion::functions_aggregate::expr_fn::count;
use deltalake::datafusion::logical_expr::{Expr, ident, lit, not};
use deltalake::datafusion::prelude::SessionContext;
use stedi_openapi::CheckResult;

use super::error::PromotionError;
use super::work::Work;
use crate::lake::DataFiles;
use crate::pipeline::{Check, CheckAction, CheckRule, condition};

/// A table as it will be.
pub(super) struct State {
    /// The rows that come.
    pub inserted: DataFiles,
    /// All its rows.
    pub all: DataFiles,
}

/// What becomes of the rules of a table.
///
/// # Errors
/// [`PromotionError::Rules`] if one is broken that keeps the table from being published.
pub(super) async fn check(
    work: &Work<'_>,
    state: &State,
) -> Result<Vec<CheckResult>, PromotionError> {
    let mut results = Vec::with_capacity(work.derived.checks.len());
    for check in &work.derived.checks {
        work.watch.go_on()?;
        let (broken, rows) = look(work, check, state).await?;
        let result = CheckResult {
            rule: check.name.clone(),
            action: check.action.name().to_owned(),
            holds: broken == 0,
            broken,
            rows,
        };
        if !result.holds {
            let (table, rule, action) = (&work.derived.name, &check.name, check.action.name());
            tracing::warn!(table, rule, action, broken, "a quality rule is broken");
        }
        results.push(result);
    }
    let fails = |result: &CheckResult| !result.holds && result.action == CheckAction::Fail.name();
    match results.iter().any(fails) {
        false => Ok(results),
        true => Err(PromotionError::Rules { table: work.derived.name.clone(), checks: results }),
    }
}

/// How many rows or keys break a rule, and of how many rows.
async fn look(work: &Work<'_>, check: &Check, state: &State) -> Result<(u64, u64), PromotionError> {
    let new = &state.inserted;
    let failed = PromotionError::reading(&work.derived.name);
    let session = work.lake.sessions().session();
    let broken = match &check.rule {
        CheckRule::Rows { min, max } => {
            let rows = state.all.rows();
            let few = min.is_some_and(|min| rows < min);
            let many = max.is_some_and(|max| rows > max);
            return Ok((u64::from(few || many), rows));
        }
        CheckRule::NotNull(columns) => {
            // The log says it, if it says so of all columns.
            let nulls = columns.iter().map(|column| new.nulls(column));
            if nulls.clone().all(|nulls| nulls == Some(0)) {
                return Ok((0, new.rows()));
            }
            let null = columns.iter().map(|column| ident(column).is_null());
            rows_where(&session, new, null.reduce(Expr::or)).await
        }
        CheckRule::Range { column, min, max } => {
            let holds = |(low, high): (f64, f64)| {
                min.is_none_or(|min| low >= min) && max.is_none_or(|max| high <= max)
            };
            if new.bounds(column).is_some_and(holds) {
                return Ok((0, new.rows()));
            }
            let below = min.map(|min| ident(column).lt(lit(min)));
            let above = max.map(|max| ident(column).gt(lit(max)));
            rows_where(&session, new, below.into_iter().chain(above).reduce(Expr::or)).await
        }
        CheckRule::Condition(text) => {
            let schema = new.arrow_schema();
            let condition = condition(&session, text, &schema)
                .map_err(|reason| failed(DataFusionError::Plan(reason)))?;
            rows_where(&session, new, Some(not(condition))).await
        }
        CheckRule::Unique(columns) => {
            let broken = repeated(&session, state, columns).await.map_err(failed)?;
            return Ok((broken, state.all.rows()));
        }
    };
    Ok((broken.map_err(failed)?, new.rows()))
}

async fn rows_where(
    session: &SessionContext,
    files: &DataFiles,
    broken: Option<Expr>,
) -> Result<u64, DataFusionError> {
    let Some(broken) = broken else { return Ok(0) };
    counted(session.read_table(Arc::new(files.clone()))?.filter(broken)?).await
}

/// Keys that several rows have, of those that come.
async fn repeated(
    session: &SessionContext,
    state: &State,
    columns: &[String],
) -> Result<u64, DataFusionError> {
    let keys: Vec<Expr> = columns.iter().map(ident).collect();
    let known = keys.iter().cloned().map(Expr::is_not_null).reduce(Expr::and);
    let mut rows = session.read_table(Arc::new(state.all.clone()))?.select(keys.clone())?;
    if let Some(known) = known {
        rows = rows.filter(known)?;
    }
    if state.inserted.rows() < state.all.rows() {
        let new = session.read_table(Arc::new(state.inserted.clone()))?;
        let new =
            new.select(columns.iter().map(|name| ident(name).alias(format!("new_{name}"))))?;
        let new_names: Vec<String> = columns.iter().map(|name| format!("new_{name}")).collect();
        let left: Vec<&str> = columns.iter().map(String::as_str).collect();
        let right: Vec<&str> = new_names.iter().map(String::as_str).collect();
        rows = rows.join(new.distinct()?, JoinType::LeftSemi, &left, &right, None)?;
    }
    let rows = rows.aggregate(keys, vec![count(lit(1)).alias("times")])?;
    counted(rows.filter(ident("times").gt(lit(1)))?).await
}

async fn counted(rows: DataFrame) -> Result<u64, DataFusionError> {
    let batches = rows.aggregate(Vec::new(), vec![count(lit(1))])?.collect().await?;
    let counts = batches
        .iter()
        .flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().iter().copied());
    Ok(counts.sum::<i64>().unsigned_abs())
}
