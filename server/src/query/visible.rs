//! A table without the columns that are not there for somebody.
//!
//! A plan over it cannot name them, and an error or EXPLAIN of such a plan cannot show them: they
//! are in no schema that the planner gets to see.

use std::sync::Arc;

use async_trait::async_trait;
use deltalake::arrow::datatypes::SchemaRef;
use deltalake::datafusion::catalog::{Session, TableProvider};
use deltalake::datafusion::common::{Result, plan_err};
use deltalake::datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use deltalake::datafusion::physical_plan::ExecutionPlan;

/// Some columns of a table.
#[derive(Debug)]
pub(super) struct Visible {
    table: Arc<dyn TableProvider>,
    schema: SchemaRef,
    /// Where each visible column is in the table.
    places: Vec<usize>,
}

impl Visible {
    /// The columns with these names, in the table's order.
    pub fn of(
        table: Arc<dyn TableProvider>,
        seen: impl Fn(&str) -> bool,
    ) -> Result<Arc<dyn TableProvider>> {
        let whole = table.schema();
        let places: Vec<usize> =
            (0..whole.fields().len()).filter(|place| seen(whole.field(*place).name())).collect();
        if places.len() == whole.fields().len() {
            return Ok(table);
        }
        let schema = Arc::new(whole.project(&places)?);
        Ok(Arc::new(Self { table, schema, places }))
    }
}

#[async_trait]
impl TableProvider for Visible {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        self.table.table_type()
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        self.table.supports_filters_pushdown(filters)
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let unseen = filters
            .iter()
            .flat_map(Expr::column_refs)
            .find(|column| self.schema.index_of(&column.name).is_err());
        if let Some(column) = unseen {
            return plan_err!("there is no column {}", column.name);
        }
        let places = match projection {
            None => self.places.clone(),
            Some(chosen) => {
                chosen.iter().filter_map(|place| self.places.get(*place).copied()).collect()
            }
        };
        self.table.scan(session, Some(&places), filters, limit).await
    }
}
