//! Finds records, newest first.

use deltalake::arrow::array::RecordBatch;
use deltalake::datafusion::execution::SendableRecordBatchStream;
use deltalake::datafusion::functions::expr_fn::strpos;
use deltalake::datafusion::prelude::{DataFrame, Expr, col, lit};
use futures::TryStreamExt;

use super::columns::{AUDIT_TABLE, SPECS};
use super::error::AuditError;
use super::record::{Action, Outcome, Row};
use super::service::Audit;
use super::table;
use crate::lake::Table;

/// Which records are asked for; everything that says something must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Begun at or after this, in milliseconds since 1970.
    pub from: Option<i64>,
    /// Begun before this, in milliseconds since 1970.
    pub to: Option<i64>,
    /// The token's `sub`.
    pub principal: Option<String>,
    /// The pseudonym of the customer.
    pub subject: Option<String>,
    /// What was done.
    pub action: Option<Action>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// A table that was read or changed.
    pub table: Option<String>,
    /// Only records before the one with this id.
    pub after: Option<String>,
    /// How many, at most.
    pub limit: usize,
}

/// Records, newest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The records.
    pub records: Vec<Row>,
    /// What to ask for to get the ones before them, if there are any.
    pub next: Option<String>,
}

impl Audit {
    /// Finds records, those that are still in the journal included.
    ///
    /// # Errors
    /// If the lake cannot be read or written.
    pub async fn find(&self, filter: &Filter) -> Result<Page, AuditError> {
        let table = self.table().await?;
        let mut frame = frame(self, &table).await?;
        for condition in conditions(filter) {
            frame = frame.filter(condition)?;
        }
        // The order of ids is that of beginnings.
        let frame = frame.sort(vec![col("id").sort(false, false)])?;
        let batches: Vec<RecordBatch> = frame.limit(0, Some(filter.limit + 1))?.collect().await?;
        let mut records = Vec::new();
        for batch in &batches {
            records.extend(table::rows(batch)?);
        }
        let more = records.len() > filter.limit;
        records.truncate(filter.limit);
        let last = records.last().filter(|_| more).map(|row| row.facts.id.clone());
        Ok(Page { records, next: last })
    }
}

fn conditions(filter: &Filter) -> Vec<Expr> {
    let text = |name: &str, text: &str| col(name).eq(lit(text.to_owned()));
    [
        filter.from.map(|from| col("at").gt_eq(lit(from))),
        filter.to.map(|to| col("at").lt(lit(to))),
        filter.principal.as_ref().map(|principal| text("principal", principal)),
        filter.subject.as_ref().map(|subject| text("subject", subject)),
        filter.action.map(|action| text("action", action.name())),
        filter.outcome.map(|outcome| text("outcome", outcome.name())),
        filter.after.as_ref().map(|id| col("id").lt(lit(id.clone()))),
        // A key of a JSON object as serde_json writes it.
        filter.table.as_ref().and_then(|table| {
            let key = format!("{}:", serde_json::to_string(table).ok()?);
            Some(strpos(col("tables"), lit(key)).gt(lit(0)))
        }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The records of a chain after another, each in its order.
pub(super) async fn in_order(
    audit: &Audit,
    table: &Table,
) -> Result<SendableRecordBatchStream, AuditError> {
    let order = vec![col("chain").sort(true, true), col("seq").sort(true, true)];
    Ok(frame(audit, table).await?.sort(order)?.execute_stream().await?)
}

async fn frame(audit: &Audit, table: &Table) -> Result<DataFrame, AuditError> {
    let session = audit.lake().sessions().session();
    table.register(&session, AUDIT_TABLE).await?;
    let columns: Vec<&str> = SPECS.iter().map(|spec| spec.name).collect();
    Ok(session.table(AUDIT_TABLE).await?.select_columns(&columns)?)
}

/// The records of a stream, batch by batch.
pub(super) async fn next(
    stream: &mut SendableRecordBatchStream,
) -> Result<Option<Vec<Row>>, AuditError> {
    match stream.try_next().await? {
        Some(batch) => Ok(Some(table::rows(&batch)?)),
        None => Ok(None),
    }
}
