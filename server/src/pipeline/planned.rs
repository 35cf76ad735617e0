//! Plans every SELECT against empty tables, in dependency order: what it reads, which columns it
//! gives, and whether it calls functions that give something else at another time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use deltalake::arrow::datatypes::{DataType, Field};
use deltalake::datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use deltalake::datafusion::datasource::empty::EmptyTable;
use deltalake::datafusion::error::DataFusionError;
use deltalake::datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use deltalake::datafusion::prelude::SessionContext;
use deltalake::datafusion::sql::parser::Statement;
use deltalake::datafusion::sql::resolve::resolve_table_references;
use deltalake::datafusion::sql::sqlparser::ast;

use super::column::{Class, Column, stored_columns};
use super::consent::Consent;
use super::error::PipelineError;
use super::files::{DECLARATION, PipelineFiles};
use super::linear;
use super::local::{self, Keys};
use super::model::{Derived, SUBJECT_ID, Source};
use super::quality;
use super::spec::DerivedSpec;
use crate::lake::session;

/// The tables that derived ones begin with.
pub(super) struct Known<'a> {
    pub sources: &'a [Source],
    pub consent: Option<&'a Consent>,
}

/// Plans the derived tables in `order` (indices into `specs`).
pub(super) async fn derived(
    Known { sources, consent }: &Known<'_>,
    specs: Vec<DerivedSpec>,
    order: &[usize],
    files: &PipelineFiles,
    options: &BTreeMap<String, String>,
) -> Result<Vec<Derived>, PipelineError> {
    let context = session::planning();
    let known = sources.iter().map(|source| (&source.name, source.columns()));
    let revocations = consent.iter().map(|consent| (&consent.revocations, Consent::columns()));
    for (name, columns) in known.chain(revocations) {
        register(&context, name, &columns)
            .map_err(|error| PipelineError::table(DECLARATION, name, plain(&error)))?;
    }
    let claims = sources.iter().find(|source| source.claims);
    let device = claims.and_then(|source| source.device.as_deref());
    let mut keys = Keys::from([(SUBJECT_ID, "subject")]);
    keys.extend(device.map(|device| (device, "device")));
    let mut specs: Vec<Option<DerivedSpec>> = specs.into_iter().map(Some).collect();
    let mut tables = Vec::with_capacity(specs.len());
    for at in order {
        let Some(spec) = specs[*at].take() else { continue };
        let file = format!("{}.sql", spec.name);
        let sql = files.text(&file).unwrap_or_default();
        let table = plan(&context, &keys, spec, &file, sql, options).await?;
        register(&context, &table.name, &table.columns)
            .map_err(|error| PipelineError::table(&file, &table.name, plain(&error)))?;
        tables.push(table);
    }
    Ok(tables)
}

async fn plan(
    context: &SessionContext,
    keys: &Keys<'_>,
    spec: DerivedSpec,
    file: &str,
    sql: &str,
    options: &BTreeMap<String, String>,
) -> Result<Derived, PipelineError> {
    let wrong = |reason: String| PipelineError::table(file, &spec.name, reason);
    let failed = |error: DataFusionError| wrong(plain(&error));

    let statement = context.state().sql_to_statement(sql, &session::dialect()).map_err(failed)?;
    one_select(&statement).map_err(|reason| wrong(reason.to_owned()))?;
    let (read, _) = resolve_table_references(&statement, true).map_err(failed)?;
    let read: BTreeSet<String> = read.iter().map(|table| table.to_string()).collect();
    let declared: BTreeSet<String> = spec.sources.iter().cloned().collect();
    if let Some(table) = read.difference(&declared).next() {
        return Err(wrong(format!("reads {table}, which is not one of its declared sources")));
    }
    let plan = context.state().statement_to_plan(statement).await.map_err(failed)?;
    let scanned = scanned(&plan).map_err(failed)?;
    if let Some(table) = declared.difference(&scanned).next() {
        return Err(wrong(format!("declares the source {table}, which its SELECT does not read")));
    }
    let plan = session::bind(plan, options).map_err(failed)?;
    if let Some(function) = unrepeatable(&plan).map_err(failed)? {
        return Err(wrong(format!(
            "calls {function}, whose result is not the same for the same rows each time"
        )));
    }
    for source in &spec.linear {
        if let Some(reason) = linear::obstacle(&plan, source).map_err(failed)? {
            return Err(wrong(format!("is declared linear in {source}, but {reason}")));
        }
    }
    let mut keys = keys.clone();
    keys.entry(spec.replace_by.as_str()).or_insert("key");
    let not_local = local::obstacle(&plan, &keys, &spec.replace_by).map_err(failed)?;
    let columns = columns(&spec, file, &plan)?;
    let checks = quality::checks(spec.checks, &spec.name, &columns)?;
    let text =
        |column: &Column| column.name == spec.replace_by && column.data_type == DataType::Utf8;
    let not_local = match columns.iter().any(text) {
        true => not_local,
        false => Some(format!("{} is not text", spec.replace_by)),
    };
    Ok(Derived {
        name: spec.name,
        description: spec.description,
        zone: spec.zone,
        sources: spec.sources,
        linear: spec.linear,
        replace_by: spec.replace_by,
        not_local,
        sql: sql.to_owned(),
        columns,
        checks,
    })
}

/// The columns of the plan with their declared classes; none may be missing on either side.
fn columns(
    spec: &DerivedSpec,
    file: &str,
    plan: &LogicalPlan,
) -> Result<Vec<Column>, PipelineError> {
    let mut classes: BTreeMap<&str, Class> = spec
        .columns
        .iter()
        .filter_map(|column| Some((column.name.as_str(), column.class?)))
        .collect();
    let mut columns = Vec::new();
    for field in plan.schema().fields() {
        let name = field.name();
        let class = classes.remove(name.as_str()).ok_or_else(|| {
            let reason =
                format!("has no class: {file} selects it, the declaration does not name it");
            PipelineError::column(DECLARATION, &spec.name, name, reason)
        })?;
        let data_type = stored(field)
            .map_err(|reason| PipelineError::column(file, &spec.name, name, reason))?;
        columns.push(Column::new(name, data_type, class));
    }
    match classes.keys().next() {
        None => Ok(columns),
        Some(name) => {
            let reason = format!("is declared, but {file} does not select it");
            Err(PipelineError::column(DECLARATION, &spec.name, *name, reason))
        }
    }
}

/// The type that a selected column is stored as.
fn stored(field: &Field) -> Result<DataType, String> {
    match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Ok(DataType::Utf8),
        kept @ (DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Date32) => Ok(kept.clone()),
        other => Err(format!("has type {other}, which is not stored; CAST it")),
    }
}

fn one_select(statement: &Statement) -> Result<(), &'static str> {
    match statement {
        Statement::Statement(statement) if matches!(**statement, ast::Statement::Query(_)) => {
            Ok(())
        }
        _ => Err("a derived table is defined by one SELECT"),
    }
}

fn scanned(plan: &LogicalPlan) -> Result<BTreeSet<String>, DataFusionError> {
    let mut tables = BTreeSet::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            tables.insert(scan.table_name.table().to_owned());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(tables)
}

/// The first function that gives another result at another time: a derived table could not be
/// rebuilt to the same rows (invariant 1).
fn unrepeatable(plan: &LogicalPlan) -> Result<Option<String>, DataFusionError> {
    let mut found = None;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|expression| {
                if let Expr::ScalarFunction(call) = expression
                    && call.func.signature().volatility != Volatility::Immutable
                {
                    found = Some(call.func.name().to_owned());
                    return Ok(TreeNodeRecursion::Stop);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(found)
}

fn register(
    context: &SessionContext,
    table: &str,
    columns: &[Column],
) -> Result<(), DataFusionError> {
    context
        .register_table(table, Arc::new(EmptyTable::new(stored_columns(columns).schema)))
        .map(|_| ())
}

/// The planner's message without the names of its own error types.
fn plain(error: &DataFusionError) -> String {
    error.strip_backtrace()
}
