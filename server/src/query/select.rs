//! One SELECT over the newest versions of the tables that it names.

use std::sync::Arc;

use deltalake::datafusion::execution::SendableRecordBatchStream;
use deltalake::datafusion::sql::parser::Statement;
use deltalake::datafusion::sql::resolve::resolve_table_references;
use deltalake::datafusion::sql::sqlparser::ast;

use super::error::QueryError;
use crate::lake::{Lake, Table, session};
use crate::pipeline::Pipeline;

/// Answers statements.
#[derive(Clone, Debug)]
pub struct Query {
    lake: Lake,
    pipeline: Arc<Pipeline>,
}

impl Query {
    /// Statements over the tables of a lake's pipeline.
    pub fn new(lake: Lake, pipeline: Arc<Pipeline>) -> Self {
        Self { lake, pipeline }
    }

    /// The newest version of a table of the pipeline.
    pub async fn table(&self, name: &str) -> Result<Table, QueryError> {
        let unknown = || QueryError::UnknownTable(name.to_owned());
        let source = name.strip_suffix("_rejected").unwrap_or(name);
        let zone = self.pipeline.zone(name).or_else(|| self.pipeline.zone(source));
        let zone = zone.ok_or_else(unknown)?;
        self.lake.table(zone.name(), name).await?.ok_or_else(unknown)
    }

    /// Runs one SELECT and streams its rows.
    pub async fn select(&self, sql: &str) -> Result<SendableRecordBatchStream, QueryError> {
        let context = self.lake.sessions().session();
        let statement = context.state().sql_to_statement(sql, &session::dialect())?;
        match &statement {
            Statement::Statement(select) if matches!(**select, ast::Statement::Query(_)) => {}
            _ => return Err(QueryError::NotASelect),
        }
        let (tables, _) = resolve_table_references(&statement, true)?;
        for name in tables {
            let name = name.to_string();
            self.table(&name).await?.register(&context, &name).await?;
        }
        let plan = context.state().statement_to_plan(statement).await?;
        Ok(context.execute_logical_plan(plan).await?.execute_stream().await?)
    }
}
