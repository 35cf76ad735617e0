//! Whether the rows of a derived table that belong to a key depend on rows of that key alone.
//!
//! Keys are of three kinds: subjects, devices, and the values of the column by which the table's
//! rows are replaced. Rows meet in joins, aggregates and window functions; where each of them puts
//! together only rows of an equal key, the rows of some keys can be computed without the others.

use std::collections::BTreeMap;

use deltalake::datafusion::common::Column;
use deltalake::datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use deltalake::datafusion::error::DataFusionError;
use deltalake::datafusion::logical_expr::utils::split_conjunction;
use deltalake::datafusion::logical_expr::{
    BinaryExpr, Distinct, Expr, Join, LogicalPlan, Operator,
};

/// The names of key columns, and the kind of each.
pub(super) type Keys<'a> = BTreeMap<&'a str, &'a str>;

/// Why the rows of a key depend on rows of others; `None` if they do not.
pub(super) fn obstacle(
    plan: &LogicalPlan,
    keys: &Keys,
    replace_by: &str,
) -> Result<Option<String>, DataFusionError> {
    let at = plan.schema().fields().iter().position(|field| field.name() == replace_by);
    if at.and_then(|at| kind_of(plan, at, keys)).is_none() {
        return Ok(Some(format!("{replace_by} is not a key of a source")));
    }
    let mut found = None;
    plan.apply_with_subqueries(|node| {
        found = at_node(node, keys);
        Ok(match found {
            None => TreeNodeRecursion::Continue,
            Some(_) => TreeNodeRecursion::Stop,
        })
    })?;
    Ok(found)
}

fn at_node(node: &LogicalPlan, keys: &Keys) -> Option<String> {
    let word = |text: &str| Some(text.to_owned());
    match node {
        LogicalPlan::TableScan(_)
        | LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Union(_)
        | LogicalPlan::Distinct(Distinct::All(_)) => match subqueries(node) {
            true => word("it has a subquery in an expression"),
            false => None,
        },
        LogicalPlan::Join(join) => match joins_keys(join, keys) {
            true => None,
            false => word("a join puts together rows of different keys"),
        },
        LogicalPlan::Aggregate(aggregate) => {
            let keyed = aggregate.aggr_expr.is_empty()
                || aggregate.group_expr.iter().any(|e| kind(e, &aggregate.input, keys).is_some());
            if keyed { None } else { word("an aggregate puts together rows of different keys") }
        }
        LogicalPlan::Window(window) => {
            let keyed = window.window_expr.iter().all(|expr| match unaliased(expr) {
                Expr::WindowFunction(call) => {
                    call.params.partition_by.iter().any(|e| kind(e, &window.input, keys).is_some())
                }
                _ => false,
            });
            if keyed {
                None
            } else {
                word("a window function puts together rows of different keys")
            }
        }
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => None,
        other => Some(format!("it has {}", other.display())),
    }
}

fn subqueries(node: &LogicalPlan) -> bool {
    node.expressions().iter().any(|expr| {
        expr.exists(|e| {
            Ok(matches!(e, Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_)))
        })
        .unwrap_or(true)
    })
}

fn joins_keys(join: &Join, keys: &Keys) -> bool {
    let same = |a: &Expr, b: &Expr| {
        let (left, right) = (kind(a, &join.left, keys), kind(b, &join.right, keys));
        left.is_some() && left == right
    };
    let mut pairs: Vec<(&Expr, &Expr)> = join.on.iter().map(|(a, b)| (a, b)).collect();
    for part in join.filter.iter().flat_map(split_conjunction) {
        if let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = part {
            pairs.push((left, right));
        }
    }
    pairs.into_iter().any(|(a, b)| same(a, b) || same(b, a))
}

fn unaliased(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => unaliased(&alias.expr),
        other => other,
    }
}

/// The kind of key that an expression over a plan's rows gives.
fn kind<'a>(expr: &Expr, plan: &LogicalPlan, keys: &Keys<'a>) -> Option<&'a str> {
    match unaliased(expr) {
        Expr::Column(column) => {
            let at = index_of(plan, column)?;
            kind_of(plan, at, keys)
        }
        Expr::ScalarFunction(call) if call.func.name() == "coalesce" => {
            one(call.args.iter().map(|arg| kind(arg, plan, keys)))
        }
        Expr::Case(case) => {
            let results = case.when_then_expr.iter().map(|(_, then)| then);
            let results = results.chain(case.else_expr.iter());
            let results =
                results.filter(|e| !matches!(unaliased(e), Expr::Literal(v, _) if v.is_null()));
            one(results.map(|result| kind(result, plan, keys)))
        }
        Expr::AggregateFunction(call) if matches!(call.func.name(), "min" | "max") => {
            one(call.params.args.iter().map(|arg| kind(arg, plan, keys)))
        }
        _ => None,
    }
}

/// The one kind that all are of.
fn one<'a>(mut kinds: impl Iterator<Item = Option<&'a str>>) -> Option<&'a str> {
    let first = kinds.next()??;
    kinds.all(|kind| kind == Some(first)).then_some(first)
}

fn index_of(plan: &LogicalPlan, column: &Column) -> Option<usize> {
    plan.schema().maybe_index_of_column(column)
}

/// The kind of key that a column of a plan holds.
fn kind_of<'a>(plan: &LogicalPlan, at: usize, keys: &Keys<'a>) -> Option<&'a str> {
    match plan {
        LogicalPlan::TableScan(_) => keys.get(plan.schema().field(at).name().as_str()).copied(),
        LogicalPlan::Projection(projection) => {
            kind(projection.expr.get(at)?, &projection.input, keys)
        }
        LogicalPlan::Aggregate(aggregate) => {
            let groups = aggregate.group_expr.iter();
            let expr = groups.chain(&aggregate.aggr_expr).nth(at)?;
            kind(expr, &aggregate.input, keys)
        }
        LogicalPlan::Join(join) => {
            let left = join.left.schema().fields().len();
            match at < left || join.schema.fields().len() <= left {
                true => kind_of(&join.left, at, keys),
                false => kind_of(&join.right, at - left, keys),
            }
        }
        LogicalPlan::Union(union) => one(union.inputs.iter().map(|input| kind_of(input, at, keys))),
        LogicalPlan::Window(window) => {
            let inherited = at < window.input.schema().fields().len();
            if inherited { kind_of(&window.input, at, keys) } else { None }
        }
        LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Distinct(Distinct::All(_)) => {
            plan.inputs().first().and_then(|input| kind_of(input, at, keys))
        }
        _ => None,
    }
}
