//! A table without the rows of those whose consent was withdrawn.
//!
//! What reads the rows, and what takes hidden ones away, is one leaf of the plan, which the optimizer
//! cannot look into: no condition, limit or statistic of the statement reaches a hidden row, so that
//! neither a value nor an error, a plan or its figures can tell of one. A table that no deny entry
//! concerns is not read through this.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use deltalake::arrow::array::{AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use deltalake::arrow::compute::{cast, filter_record_batch};
use deltalake::arrow::datatypes::{DataType, SchemaRef};
use deltalake::datafusion::catalog::{Session, TableProvider};
use deltalake::datafusion::common::Result;
use deltalake::datafusion::common::tree_node::TreeNodeRecursion;
use deltalake::datafusion::execution::{SendableRecordBatchStream, TaskContext};
use deltalake::datafusion::logical_expr::expr::InList;
use deltalake::datafusion::logical_expr::{
    Between, BinaryExpr, Expr, Operator, TableProviderFilterPushDown, TableType,
};
use deltalake::datafusion::physical_expr::EquivalenceProperties;
use deltalake::datafusion::physical_plan::execution_plan::{
    Boundedness, EmissionType, reset_plan_states,
};
use deltalake::datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use deltalake::datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning,
    PhysicalExpr, PlanProperties,
};
use futures::StreamExt;

use crate::ledger::Hidden;
use crate::pipeline::Belongs;

/// A table without hidden rows.
#[derive(Debug)]
pub(super) struct Consenting {
    table: Arc<dyn TableProvider>,
    hidden: Arc<Hidden>,
    /// Where in the table the columns are that say whose a row is.
    keys: Vec<(usize, Whose)>,
    rule: Rule,
}

/// Which rows are somebody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// Those that any of the columns says are theirs.
    Each,
    /// Those of a device only where they name no subject.
    SubjectFirst,
    /// Any may be.
    All,
}

/// Whom a value of a column stands for.
#[derive(Clone, Copy, Debug)]
enum Whose {
    Subject,
    Device,
}

impl Consenting {
    /// The rows of a table that belong to nobody who is hidden.
    ///
    /// # Errors
    /// If the table lacks one of the columns that say whose a row is.
    pub fn of(
        table: Arc<dyn TableProvider>,
        belongs: &Belongs,
        hidden: Hidden,
    ) -> Result<Arc<dyn TableProvider>> {
        let schema = table.schema();
        let key = |name: &String, whose| Ok((schema.index_of(name)?, whose));
        let subject = belongs.subject.iter().map(|name| key(name, Whose::Subject));
        let device = belongs.device.iter().map(|name| key(name, Whose::Device));
        let keys = subject.chain(device).collect::<Result<_>>()?;
        let rule = match (belongs.anybody, belongs.received) {
            (true, _) => Rule::All,
            (_, true) => Rule::SubjectFirst,
            _ => Rule::Each,
        };
        Ok(Arc::new(Self { table, hidden: Arc::new(hidden), keys, rule }))
    }
}

#[async_trait]
impl TableProvider for Consenting {
    fn schema(&self) -> SchemaRef {
        self.table.schema()
    }

    fn table_type(&self) -> TableType {
        self.table.table_type()
    }

    /// Simple comparisons only say which files and pages need not be read; all is compared again.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let below = self.table.supports_filters_pushdown(filters)?;
        let each = filters.iter().zip(below).map(|(filter, below)| {
            match is_harmless(filter) && below != TableProviderFilterPushDown::Unsupported {
                true => TableProviderFilterPushDown::Inexact,
                false => TableProviderFilterPushDown::Unsupported,
            }
        });
        Ok(each.collect())
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        // Of rows that are hidden none may count.
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut read: Vec<usize> = match projection {
            Some(chosen) => chosen.clone(),
            None => (0..self.table.schema().fields().len()).collect(),
        };
        let given = read.len();
        let mut keys = Vec::with_capacity(self.keys.len());
        for (place, whose) in &self.keys {
            let at = read.iter().position(|read| read == place).unwrap_or(read.len());
            if at == read.len() {
                read.push(*place);
            }
            keys.push((at, *whose));
        }
        let filters: Vec<Expr> =
            filters.iter().filter(|filter| is_harmless(filter)).cloned().collect();
        let rows = self.table.scan(session, Some(&read), &filters, None).await?;
        let given: Vec<usize> = (0..given).collect();
        let schema = Arc::new(rows.schema().project(&given)?);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(rows.output_partitioning().partition_count()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let hidden = Arc::clone(&self.hidden);
        let take = Take { hidden, keys, rule: self.rule, given, schema };
        Ok(Arc::new(ConsentingExec { rows, take, properties: Arc::new(properties) }))
    }
}

/// Whether a condition compares columns with constants, and so cannot fail on any value.
fn is_harmless(filter: &Expr) -> bool {
    let column = |expr: &Expr| matches!(expr, Expr::Column(_));
    let constant = |expr: &Expr| matches!(expr, Expr::Literal(..));
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And | Operator::Or, right }) => {
            is_harmless(left) && is_harmless(right)
        }
        Expr::BinaryExpr(BinaryExpr {
            left,
            op:
                Operator::Eq
                | Operator::NotEq
                | Operator::Lt
                | Operator::LtEq
                | Operator::Gt
                | Operator::GtEq,
            right,
        }) => column(left) && constant(right) || constant(left) && column(right),
        Expr::InList(InList { expr, list, .. }) => column(expr) && list.iter().all(constant),
        Expr::Between(Between { expr, low, high, .. }) => {
            column(expr) && constant(low) && constant(high)
        }
        Expr::IsNull(expr) | Expr::IsNotNull(expr) => column(expr),
        _ => false,
    }
}

/// Takes rows that are hidden away, and columns that nobody asked for.
#[derive(Clone, Debug)]
struct Take {
    hidden: Arc<Hidden>,
    /// Where in what is read the columns are that say whose a row is.
    keys: Vec<(usize, Whose)>,
    rule: Rule,
    given: Vec<usize>,
    schema: SchemaRef,
}

impl Take {
    fn of(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut stays = vec![self.rule != Rule::All; batch.num_rows()];
        let mut named = vec![false; batch.num_rows()];
        // The column of subjects comes first.
        for (at, whose) in &self.keys {
            let values = cast(batch.column(*at), &DataType::Utf8)?;
            let rows = stays.iter_mut().zip(&mut named).zip(values.as_string::<i32>());
            for ((stays, named), value) in rows {
                let Some(value) = value else { continue };
                match whose {
                    Whose::Subject => {
                        *named = self.rule == Rule::SubjectFirst;
                        *stays &= !self.hidden.subjects.contains(value);
                    }
                    Whose::Device => *stays &= *named || !self.hidden.devices.contains(value),
                }
            }
        }
        let columns = self.given.iter().map(|at| Arc::clone(batch.column(*at))).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        Ok(filter_record_batch(&batch, &BooleanArray::from(stays))?)
    }
}

/// Reads rows and takes hidden ones away.
#[derive(Debug)]
struct ConsentingExec {
    rows: Arc<dyn ExecutionPlan>,
    take: Take,
    properties: Arc<PlanProperties>,
}

impl DisplayAs for ConsentingExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConsentingExec")
    }
}

impl ExecutionPlan for ConsentingExec {
    fn name(&self) -> &'static str {
        "ConsentingExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    /// None that anybody gets to see.
    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        // What nobody sees from outside is not reached from outside either.
        let rows = reset_plan_states(Arc::clone(&self.rows))?;
        let (take, properties) = (self.take.clone(), Arc::clone(&self.properties));
        Ok(Arc::new(Self { rows, take, properties }))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let take = self.take.clone();
        let schema = Arc::clone(&take.schema);
        let rows = self.rows.execute(partition, context)?;
        let rows = rows.map(move |batch| batch.and_then(|batch| take.of(&batch)));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}
