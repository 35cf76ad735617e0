//! Writes data files. Nothing is in the table until the files are committed.

use std::collections::BTreeSet;
use std::num::NonZeroU64;
use std::sync::Arc;

use deltalake::arrow::array::{ArrayRef, RecordBatch};
use deltalake::arrow::compute::cast;
use deltalake::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use deltalake::datafile::writer::{DeltaWriter, WriterConfig};
use deltalake::datafusion::error::DataFusionError;
use deltalake::datafusion::execution::SendableRecordBatchStream;
use deltalake::datafusion::logical_expr::LogicalPlan;
use deltalake::datafusion::physical_plan::{ExecutionPlan, execute_stream_partitioned};
use deltalake::datafusion::prelude::SessionContext;
use deltalake::kernel::Add;
use deltalake::logstore::object_store::path::Path;
use deltalake::logstore::object_store::prefix::PrefixStore;
use deltalake::logstore::object_store::{ObjectStore, ObjectStoreExt};
use deltalake::parquet::basic::{Compression, ZstdLevel};
use deltalake::parquet::file::properties::{EnabledStatistics, WriterProperties};
use deltalake::parquet::schema::types::ColumnPath;
use futures::StreamExt;
use tokio::task::JoinSet;

use super::changes::CHANGE_TYPE;
use super::error::LakeError;
use super::order::{Once, clustered, sorted};
use super::pieces::Pieces;
use super::table::{Columns, Table};
use super::watch::Watch;

/// Rows of a row group: what a reader skips or decodes as one, and what a writer holds in memory.
const ROW_GROUP_ROWS: usize = 128 * 1024;
/// Rows of a page: the least that a reader decodes to find one row.
const PAGE_ROWS: usize = 8 * 1024;
/// Bytes after which a new file is begun. The writer of delta-rs lets up to 32 such files wait for a
/// slow store, so this bounds memory too.
pub(super) const FILE_BYTES: u64 = 32 * 1024 * 1024;

/// The folder of a table that holds its change data (Delta protocol, "Change Data Files").
pub(super) const CHANGE_FOLDER: &str = "_change_data";
/// The folder of a table that loads write, for files that no load wrote.
pub(super) const REWRITTEN_FOLDER: &str = "rewritten";

/// Data files that wait for their commit.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// The files.
    pub(super) adds: Vec<Add>,
    /// Rows in them.
    pub rows: u64,
}

impl Written {
    /// Bytes of the files.
    pub fn bytes(&self) -> u64 {
        self.adds.iter().map(|add| u64::try_from(add.size).unwrap_or_default()).sum()
    }

    /// These and more.
    pub fn and(mut self, more: Self) -> Self {
        self.rows += more.rows;
        self.adds.extend(more.adds);
        self
    }

    /// These without some files, which have so many rows, and those.
    pub(super) fn split(self, names: &BTreeSet<&str>, rows: u64) -> (Self, Self) {
        let (gone, stay): (Vec<Add>, Vec<Add>) =
            self.adds.into_iter().partition(|add| names.contains(add.path.as_str()));
        let stay = Self { adds: stay, rows: self.rows.saturating_sub(rows) };
        (stay, Self { adds: gone, rows })
    }

    /// Removes the files, which will not be committed. What cannot be removed is left to
    /// maintenance, which finds files that no commit names.
    pub async fn discard(self, table: &Table) {
        let store = table.delta.object_store();
        for add in self.adds {
            if let Err(error) = store.delete(&Path::from(add.path.as_str())).await {
                tracing::warn!(table = table.name(), %error, "a discarded data file was not removed");
            }
        }
    }
}

impl Written {
    /// Removes the files of a commit that somebody else was in the way of and that is never rebased, if
    /// the log says whose came next. Otherwise they are left to maintenance: they may be in the log.
    pub async fn give_up(self, table: &Table) {
        match self.is_next_of(table).await {
            Ok(Some(false)) => self.discard(table).await,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(table = table.name(), %error, "data files are left to maintenance");
            }
        }
    }

    /// Whether the commit that follows a version has one of the files; `None` if the log does not say.
    async fn is_next_of(&self, table: &Table) -> Result<Option<bool>, LakeError> {
        let newest = table.refreshed().await?;
        let next = table.version() + 1;
        let named = newest.named_by(next, true).await?;
        if newest.version() < next || !newest.has_commit(next).await? {
            return Ok(None);
        }
        Ok(Some(self.adds.iter().any(|add| named.contains(&add.path))))
    }
}

/// Writes the data files of one table.
pub struct Writer {
    table: String,
    /// Below the table's root.
    folder: Option<&'static str>,
    schema: SchemaRef,
    inner: DeltaWriter,
    rows: u64,
}

impl Writer {
    /// A writer of files with the given columns into the table's folder.
    pub fn new(table: &Table, columns: &Columns) -> Self {
        Self::of(table, columns, table.into)
    }

    /// A writer of change data: the rows that a commit inserts and deletes, each with what became
    /// of it.
    pub fn of_changes(table: &Table, columns: &Columns) -> Self {
        let mut fields = columns.schema.fields().to_vec();
        fields.push(Arc::new(Field::new(CHANGE_TYPE, DataType::Utf8, true)));
        let columns = Columns { schema: Arc::new(Schema::new(fields)), ..columns.clone() };
        Self::of(table, &columns, Some(CHANGE_FOLDER))
    }

    /// A writer of files that no table has.
    pub(super) fn apart(store: Arc<dyn ObjectStore>, name: &str, columns: &Columns) -> Self {
        Self {
            table: name.to_owned(),
            folder: None,
            schema: Arc::clone(&columns.schema),
            inner: DeltaWriter::new(store, config(columns)),
            rows: 0,
        }
    }

    fn of(table: &Table, columns: &Columns, folder: Option<&'static str>) -> Self {
        let store: Arc<dyn ObjectStore> = match folder {
            None => table.delta.object_store(),
            Some(folder) => Arc::new(PrefixStore::new(table.delta.object_store(), folder)),
        };
        Self {
            table: table.name().to_owned(),
            folder,
            schema: Arc::clone(&columns.schema),
            inner: DeltaWriter::new(store, config(columns)),
            rows: 0,
        }
    }

    /// Adds rows.
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<(), LakeError> {
        self.rows += batch.num_rows() as u64;
        let batch = conform(batch, &self.schema).map_err(LakeError::plan(&self.table))?;
        self.inner.write(&batch).await.map_err(LakeError::table(&self.table))
    }

    /// Finishes the files.
    pub async fn finish(self) -> Result<Written, LakeError> {
        let mut adds = self.inner.close().await.map_err(LakeError::table(&self.table))?;
        if let Some(folder) = self.folder {
            adds.iter_mut().for_each(|add| add.path = format!("{folder}/{}", add.path));
        }
        Ok(Written { adds, rows: self.rows })
    }

    /// Gives up what was written.
    pub async fn abandon(self) {
        if let Err(error) = self.inner.abort().await {
            tracing::warn!(table = self.table, %error, "an unfinished data file was not removed");
        }
    }
}

/// Runs a plan and writes its rows, each row once, each partition of the plan into files of its own, at
/// the same time.
///
/// Rows with the same value of the first column of `clustered_by` end up next to each other in one
/// file, sorted by all of them: whoever looks for one value reads a page or two of that file.
pub async fn write_set(
    session: &SessionContext,
    plan: LogicalPlan,
    table: &Table,
    columns: &Columns,
    clustered_by: &[&str],
    watch: &Arc<Watch>,
) -> Result<Written, LakeError> {
    let failed = LakeError::plan(table.name());
    let plan = session.state().create_physical_plan(&plan).await.map_err(failed)?;
    let plan = watch.stop_when().stops(plan).map_err(failed)?;
    let plan = clustered(plan, clustered_by).map_err(failed)?;
    let rows = Rows { once: true, by: clustered_by.first().copied() };
    write_plan(session, plan, table, columns, rows, watch).await
}

/// Runs a plan and writes its rows in order, as many as there are.
pub(super) async fn write_sorted(
    session: &SessionContext,
    plan: LogicalPlan,
    table: &Table,
    columns: &Columns,
    by: &[&str],
    watch: &Arc<Watch>,
) -> Result<Written, LakeError> {
    let failed = LakeError::plan(table.name());
    let plan = session.state().create_physical_plan(&plan).await.map_err(failed)?;
    let plan = sorted(plan, by).map_err(failed)?;
    let rows = Rows { once: false, by: by.first().copied() };
    write_plan(session, plan, table, columns, rows, watch).await
}

/// Which rows of a plan are written, and which stay together.
#[derive(Clone, Copy)]
struct Rows<'a> {
    /// Of rows that follow each other and are equal, one.
    once: bool,
    /// Rows with the same value of this column are in one file.
    by: Option<&'a str>,
}

async fn write_plan(
    session: &SessionContext,
    plan: Arc<dyn ExecutionPlan>,
    table: &Table,
    columns: &Columns,
    rows: Rows<'_>,
    watch: &Arc<Watch>,
) -> Result<Written, LakeError> {
    let failed = LakeError::plan(table.name());
    let streams = execute_stream_partitioned(plan, session.task_ctx()).map_err(failed)?;
    let mut writers = JoinSet::new();
    for stream in streams {
        let (table, columns, by) = (table.clone(), columns.clone(), rows.by.map(str::to_owned));
        let (once, watch) = (rows.once.then(Once::default), Arc::clone(watch));
        writers.spawn(async move {
            let pieces = Pieces::new(&table, &columns, by.as_deref());
            write_stream(stream, pieces, once, &table, &watch).await
        });
    }
    let mut written = Written::default();
    let mut failure = None;
    while let Some(outcome) = writers.join_next().await {
        let outcome = outcome
            .map_err(|error| failed(DataFusionError::ExecutionJoin(Box::new(error))))
            .and_then(|outcome| outcome);
        match outcome {
            Ok(part) => written = written.and(part),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    match failure {
        None => Ok(written),
        Some(error) => {
            written.discard(table).await;
            Err(error)
        }
    }
}

async fn write_stream(
    mut stream: SendableRecordBatchStream,
    mut pieces: Pieces<'_>,
    mut once: Option<Once>,
    table: &Table,
    watch: &Watch,
) -> Result<Written, LakeError> {
    loop {
        let batch = tokio::select! {
            batch = stream.next() => batch,
            () = watch.cancel.cancelled() => {
                pieces.abandon().await;
                return Err(LakeError::Cancelled);
            }
        };
        let batch = match (batch, &mut once) {
            (None, _) => break,
            (Some(Ok(batch)), Some(once)) => once.of(batch).map_err(DataFusionError::from),
            (Some(batch), _) => batch,
        };
        let outcome = match batch {
            Ok(batch) => {
                watch.wrote(batch.num_rows() as u64);
                pieces.write(&batch).await
            }
            // A plan that was stopped from within says so in its own words.
            Err(error) => {
                Err(watch.go_on().err().unwrap_or_else(|| LakeError::plan(table.name())(error)))
            }
        };
        if let Err(error) = outcome {
            pieces.abandon().await;
            return Err(error);
        }
    }
    pieces.finish().await
}

/// The same rows in exactly the stored types.
pub fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, DataFusionError> {
    let columns: Result<Vec<ArrayRef>, _> = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| match column.data_type() == field.data_type() {
            true => Ok(Arc::clone(column)),
            false => cast(column, field.data_type()),
        })
        .collect();
    Ok(RecordBatch::try_new(Arc::clone(schema), columns?)?)
}

fn config(columns: &Columns) -> WriterConfig {
    let indexed = columns.schema.fields().iter().map(|field| field.name().clone());
    let indexed = indexed.filter(|name| !columns.without_statistics.contains(name)).collect();
    WriterConfig::new(
        Arc::clone(&columns.schema),
        Vec::new(),
        Some(properties(&columns.without_statistics)),
        NonZeroU64::new(FILE_BYTES),
        None,
        Default::default(),
        Some(indexed),
    )
}

/// How data files are written.
pub(super) fn properties(without_statistics: &BTreeSet<String>) -> WriterProperties {
    let compression = ZstdLevel::try_new(1).map_or(Compression::SNAPPY, Compression::ZSTD);
    let builder = WriterProperties::builder()
        .set_compression(compression)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS));
    without_statistics
        .iter()
        .fold(builder, |builder, name| {
            let column = ColumnPath::from(name.as_str());
            builder.set_column_statistics_enabled(column, EnabledStatistics::None)
        })
        .build()
}
