//! Quality rules of derived tables: what has to hold of their rows.

use std::fmt;

use deltalake::arrow::datatypes::{DataType, Schema};
use deltalake::datafusion::common::DFSchema;
use deltalake::datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use deltalake::datafusion::logical_expr::{Expr, ExprSchemable, Volatility};
use deltalake::datafusion::prelude::SessionContext;
use serde::Deserialize;

use super::column::Column;
use super::error::PipelineError;
use super::files::DECLARATION;
use super::spec::{CheckSpec, RowsSpec};
use crate::lake::session;

/// What a broken rule does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckAction {
    /// It is recorded.
    Warn,
    /// The table stays as it was.
    #[default]
    Fail,
}

impl CheckAction {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// A quality rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// What it is called.
    pub name: String,
    /// What a broken rule does.
    pub action: CheckAction,
    /// What has to hold.
    pub rule: CheckRule,
}

/// What has to hold of a table.
#[derive(Clone, Debug, PartialEq)]
pub enum CheckRule {
    /// No row has a null in one of these columns.
    NotNull(Vec<String>),
    /// No two rows have the same values in these columns; a null is like no other value.
    Unique(Vec<String>),
    /// A number that is not null lies between these, both included.
    Range {
        /// The column.
        column: String,
        /// The least.
        min: Option<f64>,
        /// The greatest.
        max: Option<f64>,
    },
    /// The table has so many rows.
    Rows {
        /// At least.
        min: Option<u64>,
        /// At most.
        max: Option<u64>,
    },
    /// A condition in SQL is not false of any row; as with CHECK, null is not false.
    Condition(String),
}

impl fmt::Display for CheckRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotNull(columns) => write!(f, "{} not null", columns.join(", ")),
            Self::Unique(columns) => write!(f, "{} unique", columns.join(", ")),
            Self::Range { column, min, max } => {
                write!(f, "{column} {}", between(min.as_ref(), max.as_ref()))
            }
            Self::Rows { min, max } => write!(f, "rows {}", between(min.as_ref(), max.as_ref())),
            Self::Condition(condition) => f.write_str(condition),
        }
    }
}

fn between<T: fmt::Display>(min: Option<&T>, max: Option<&T>) -> String {
    match (min, max) {
        (Some(min), Some(max)) => format!("from {min} to {max}"),
        (Some(min), None) => format!("at least {min}"),
        (None, Some(max)) => format!("at most {max}"),
        (None, None) => String::new(),
    }
}

/// The rules of a table, checked against its columns.
pub(super) fn checks(
    specs: Vec<CheckSpec>,
    table: &str,
    columns: &[Column],
) -> Result<Vec<Check>, PipelineError> {
    let mut checks: Vec<Check> = Vec::with_capacity(specs.len());
    for (place, spec) in specs.into_iter().enumerate() {
        let called = spec.name.clone().unwrap_or_else(|| format!("number {}", place + 1));
        let wrong = |reason: &str| {
            PipelineError::table(DECLARATION, table, format!("check {called}: {reason}"))
        };
        let (name, action) = (spec.name.clone(), spec.action);
        let rule = rule(spec).ok_or_else(|| {
            wrong("needs one of not_null, unique, column with min or max, rows, condition")
        })?;
        sound(&rule, columns).map_err(|reason| wrong(&reason))?;
        let name = name.unwrap_or_else(|| rule.to_string());
        if checks.iter().any(|check| check.name == name) {
            return Err(wrong("declared twice"));
        }
        checks.push(Check { name, action, rule });
    }
    Ok(checks)
}

/// The one rule that a declaration has; `None` if there is none, or more.
fn rule(spec: CheckSpec) -> Option<CheckRule> {
    let CheckSpec { not_null, unique, column, min, max, rows, condition, .. } = spec;
    if column.is_none() && (min.is_some() || max.is_some()) {
        return None;
    }
    let range = column.map(|column| CheckRule::Range { column, min, max });
    let rows = rows.map(|RowsSpec { min, max }| CheckRule::Rows { min, max });
    let rules = [
        not_null.map(CheckRule::NotNull),
        unique.map(CheckRule::Unique),
        range,
        rows,
        condition.map(CheckRule::Condition),
    ];
    let mut rules = rules.into_iter().flatten();
    let rule = rules.next()?;
    rules.next().is_none().then_some(rule)
}

fn sound(rule: &CheckRule, columns: &[Column]) -> Result<(), String> {
    let known = |name: &String| {
        let column = columns.iter().find(|column| column.name == *name);
        column.ok_or_else(|| format!("column {name} is not one of the table's"))
    };
    match rule {
        CheckRule::NotNull(names) | CheckRule::Unique(names) => match names.is_empty() {
            true => Err("names no column".to_owned()),
            false => names.iter().try_for_each(|name| known(name).map(|_| ())),
        },
        CheckRule::Range { column, min, max } => {
            if !known(column)?.data_type.is_numeric() {
                return Err(format!("column {column} is not a number"));
            }
            bounds(min.as_ref(), max.as_ref())
        }
        CheckRule::Rows { min, max } => bounds(min.as_ref(), max.as_ref()),
        CheckRule::Condition(text) => {
            let fields: Vec<_> = columns.iter().map(Column::field).collect();
            condition(&session::planning(), text, &Schema::new(fields)).map(|_| ())
        }
    }
}

fn bounds<T: PartialOrd>(min: Option<&T>, max: Option<&T>) -> Result<(), String> {
    match (min, max) {
        (None, None) => Err("needs min or max".to_owned()),
        (Some(min), Some(max)) if min > max => Err("min is above max".to_owned()),
        _ => Ok(()),
    }
}

/// The expression of a condition over the columns of a row.
///
/// # Errors
/// Says why it is none: it looks beyond the row, or is not true or false.
pub fn condition(session: &SessionContext, text: &str, schema: &Schema) -> Result<Expr, String> {
    let schema = DFSchema::try_from(schema.clone()).map_err(|error| error.to_string())?;
    let expr = session.state().create_logical_expr(text, &schema);
    let expr = expr.map_err(|error| error.strip_backtrace())?;
    let mut beyond = None;
    let seen = expr.apply(|part| {
        match part {
            Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) => {
                beyond = Some("has a subquery");
            }
            Expr::AggregateFunction(_) | Expr::WindowFunction(_) => {
                beyond = Some("looks at more than one row");
            }
            Expr::Placeholder(_) => beyond = Some("has a parameter"),
            Expr::ScalarFunction(call)
                if call.func.signature().volatility != Volatility::Immutable =>
            {
                beyond = Some("calls a function that does not always give the same");
            }
            _ => return Ok(TreeNodeRecursion::Continue),
        }
        Ok(TreeNodeRecursion::Stop)
    });
    seen.map_err(|error| error.strip_backtrace())?;
    if let Some(beyond) = beyond {
        return Err(format!("the condition {beyond}"));
    }
    match expr.get_type(&schema) {
        Ok(DataType::Boolean) => Ok(expr),
        Ok(_) => Err("the condition is not true or false".to_owned()),
        Err(error) => Err(error.strip_backtrace()),
    }
}
