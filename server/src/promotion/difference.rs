//! The rows by which a table differs from what it is to hold, and the commit that makes it so.

use std::collections::HashSet;
use std::sync::Arc;

use deltalake::arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray};
use deltalake::arrow::compute::filter_record_batch;
use deltalake::arrow::datatypes::{DataType, Field, Schema};
use deltalake::arrow::error::ArrowError;
use futures::StreamExt;
use serde_json::Value;
use stedi_openapi::CheckResult;

use super::checks::{State, check};
use super::error::PromotionError;
use super::lineage::Lineage;
use super::row_set::{NotTaken, RowSet};
use super::work::Work;
use crate::lake::{
    Change, Columns, DataFiles, LakeError, Mode, Replaced, Table, Writer, Written, conform,
    write_set,
};
use crate::pipeline::stored_columns;

/// Bytes of rows that come, or go, in memory. What takes more is made anew, which streams.
pub(super) const LIMIT: usize = 128 * 1024 * 1024;

/// Rows that come and go.
#[derive(Default)]
pub(super) struct Difference {
    /// Rows that come.
    pub inserts: Vec<RecordBatch>,
    /// Rows that go.
    pub deletes: Deletes,
    /// The files that hold those.
    pub files: Vec<DataFiles>,
}

/// Rows that go; `None` where none do.
pub(super) type Deletes = Option<RowSet>;

/// Why a difference is not found.
#[derive(Debug)]
pub(super) enum Halted {
    /// Making the table anew costs less, or is the only way; the reason, for a history.
    TooMuch(&'static str),
    /// It cannot be done.
    Failed(PromotionError),
}

impl From<NotTaken> for Halted {
    fn from(error: NotTaken) -> Self {
        match error {
            NotTaken::Full => Self::TooMuch("too many rows come or go"),
            NotTaken::Arrow(error) => error.into(),
        }
    }
}

impl From<ArrowError> for Halted {
    fn from(error: ArrowError) -> Self {
        Self::Failed(PromotionError::reading("-")(error.into()))
    }
}

impl From<PromotionError> for Halted {
    fn from(error: PromotionError) -> Self {
        Self::Failed(error)
    }
}

impl From<LakeError> for Halted {
    fn from(error: LakeError) -> Self {
        Self::Failed(error.into())
    }
}

/// What a commit did.
pub(super) struct Done {
    pub table: Table,
    pub rows_inserted: u64,
    pub rows_deleted: u64,
    /// What became of the table's quality rules.
    pub checks: Vec<CheckResult>,
}

impl Difference {
    /// Commits it, together with what the table is made from. Where no row comes or goes, that
    /// alone: the same changes of the sources would be read for ever.
    ///
    /// # Errors
    /// [`LakeError::Conflict`] if somebody else changed the table meanwhile.
    pub async fn commit(
        self,
        work: &Work<'_>,
        lineage: Lineage,
        info: Value,
    ) -> Result<Done, PromotionError> {
        let columns = stored_columns(&work.derived.columns);
        let deletes = match &self.deletes {
            None => Vec::new(),
            Some(rows) => rows.batches().map_err(arrow)?,
        };
        let rows = |batches: &[RecordBatch]| -> u64 {
            batches.iter().map(|batch| batch.num_rows() as u64).sum()
        };
        let (rows_inserted, rows_deleted) = (rows(&self.inserts), rows(&deletes));
        let mut changes = Written::default();
        let mut written = Written::default();
        if rows_deleted > 0 {
            written = self.keep(work, &columns).await?;
            let mut writer = Writer::of_changes(work.table, &columns);
            for (batches, kind) in [(&deletes, "delete"), (&self.inserts, "insert")] {
                for batch in batches {
                    writer.write(&changed(batch, kind).map_err(arrow)?).await?;
                }
            }
            changes = writer.finish().await?;
        }
        let mut inserted = Written::default();
        if rows_inserted > 0 {
            let session = work.lake.sessions().session();
            let failed = PromotionError::reading(&work.derived.name);
            let plan = session.read_batches(self.inserts).map_err(failed)?.into_unoptimized_plan();
            let by = work.derived.clustered_by();
            inserted = write_set(&session, plan, work.table, &columns, &by, work.watch).await?;
            written = written.and(inserted.clone());
        }
        let mut checks = Vec::new();
        if rows_inserted + rows_deleted > 0 && !work.derived.checks.is_empty() {
            let state = State {
                inserted: work.table.written(&inserted, &columns)?,
                all: work.table.files()?.replaced(
                    if rows_deleted > 0 { &self.files } else { &[] },
                    &work.table.written(&written, &columns)?,
                ),
            };
            checks = match check(work, &state).await {
                Ok(checks) => checks,
                Err(error) => {
                    written.and(changes).discard(work.table).await;
                    return Err(error);
                }
            };
        }
        work.watch.go_on()?;
        let change = Change {
            mode: Mode::Replace(Replaced {
                files: self.files,
                changes: changes.clone(),
                rows_inserted,
                rows_deleted,
            }),
            written: written.clone(),
            columns: None,
            txns: lineage.into_txns(),
            author: work.author.clone(),
            info,
        };
        let table = work.commit(change, written.and(changes)).await?;
        Ok(Done { table, rows_inserted, rows_deleted, checks })
    }

    /// Writes the rows that stay of the files that hold rows which go.
    async fn keep(&self, work: &Work<'_>, columns: &Columns) -> Result<Written, PromotionError> {
        let Some(deletes) = &self.deletes else { return Ok(Written::default()) };
        let failed = PromotionError::reading(&work.derived.name);
        let by = work.derived.replace_by.as_str();
        let keys = deletes.texts(by).map_err(arrow)?;
        let mut writer = Writer::new(work.table, columns);
        for file in &self.files {
            let session = work.lake.sessions().session();
            let rows = session.read_table(Arc::new(file.clone())).map_err(failed)?;
            let mut rows = rows.execute_stream().await.map_err(failed)?;
            while let Some(batch) = rows.next().await {
                work.watch.go_on()?;
                let batch = conform(&batch.map_err(failed)?, &columns.schema).map_err(failed)?;
                // Most rows are of other keys, which is sooner seen than that they stay.
                let mut batch = batch;
                if is_among(&batch, by, &keys) {
                    let goes = deletes.contains(&batch).map_err(arrow)?;
                    let stays: BooleanArray = goes.into_iter().map(|goes| Some(!goes)).collect();
                    batch = filter_record_batch(&batch, &stays).map_err(arrow)?;
                }
                if batch.num_rows() > 0 {
                    writer.write(&batch).await?;
                }
            }
        }
        Ok(writer.finish().await?)
    }
}

/// Whether a row may have one of these texts in a column.
fn is_among(batch: &RecordBatch, column: &str, texts: &HashSet<String>) -> bool {
    let column = batch.column_by_name(column).and_then(|column| column.as_string_opt::<i32>());
    column.is_none_or(|column| {
        let mut values = column.iter();
        values.any(|value| value.is_none_or(|value| texts.contains(value)))
    })
}

/// Rows with what became of them.
fn changed(batch: &RecordBatch, kind: &str) -> Result<RecordBatch, ArrowError> {
    let mut fields = batch.schema().fields().to_vec();
    fields.push(Arc::new(Field::new("_change_type", DataType::Utf8, true)));
    let mut columns = batch.columns().to_vec();
    let kinds = StringArray::from_iter_values(std::iter::repeat_n(kind, batch.num_rows()));
    columns.push(Arc::new(kinds) as ArrayRef);
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

fn arrow(error: ArrowError) -> PromotionError {
    PromotionError::reading("-")(error.into())
}
