//! A choice of a table's data files, as a relation that plans read.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use async_trait::async_trait;
use deltalake::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use deltalake::datafusion::catalog::{Session, TableProvider};
use deltalake::datafusion::common::config::TableParquetOptions;
use deltalake::datafusion::common::stats::Precision;
use deltalake::datafusion::common::{ColumnStatistics, Result, ScalarValue, Statistics};
use deltalake::datafusion::datasource::TableType;
use deltalake::datafusion::datasource::listing::PartitionedFile;
use deltalake::datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use deltalake::datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfigBuilder, ParquetSource,
};
use deltalake::datafusion::datasource::source::DataSourceExec;
use deltalake::datafusion::execution::object_store::ObjectStoreUrl;
use deltalake::datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use deltalake::datafusion::physical_plan::ExecutionPlan;
use deltalake::datafusion::physical_plan::empty::EmptyExec;
use deltalake::datafusion::prelude::SessionContext;
use deltalake::logstore::ObjectStoreRef;
use deltalake::logstore::object_store::path::Path;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::changes::CHANGE_TYPE;
use super::error::LakeError;
use super::table::{Columns, Table};
use super::write::Written;

/// The lake's store, as sessions know it.
pub(super) const STORE: &str = "lake://files";

/// A data file, as the log names it.
#[derive(Clone, Debug)]
pub struct DataFile {
    /// Below the table's root.
    pub(super) name: String,
    /// Bytes.
    pub(super) size: u64,
    /// What the log says of its rows, as JSON (Delta protocol, "Per-file Statistics").
    pub(super) stats: Option<String>,
}

/// Some of a table's data files.
#[derive(Clone)]
pub struct DataFiles {
    table: String,
    schema: SchemaRef,
    store: ObjectStoreRef,
    /// The table's root in the store.
    root: Path,
    files: Vec<DataFile>,
    /// Whether plans read each file as a partition of its own.
    apart: bool,
}

impl fmt::Debug for DataFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataFiles({}, {})", self.table, self.files.len())
    }
}

/// Statistics of a file in the log.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct FileStats {
    num_records: Option<u64>,
    pub(super) min_values: Map<String, Value>,
    pub(super) max_values: Map<String, Value>,
    null_count: Map<String, Value>,
}

/// A value that bounds those of a column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Bound {
    Whole(i64),
    Text(String),
}

impl DataFile {
    /// What the log calls it: its path below the table's root.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its bytes, as the log says.
    pub fn bytes(&self) -> u64 {
        self.size
    }

    /// Rows; 0 where the log does not say.
    pub fn rows(&self) -> u64 {
        self.parsed().num_records.unwrap_or_default()
    }

    /// The least and the greatest value of a column; `None` where the log does not say.
    pub(super) fn bounds(&self, column: &str) -> Option<(Bound, Bound)> {
        let stats = self.parsed();
        let bound = |values: &Map<String, Value>| match values.get(column)? {
            Value::String(text) => Some(Bound::Text(text.clone())),
            Value::Number(number) => number.as_i64().map(Bound::Whole),
            _ => None,
        };
        Some((bound(&stats.min_values)?, bound(&stats.max_values)?))
    }

    pub(super) fn parsed(&self) -> FileStats {
        self.stats.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }
}

impl Table {
    /// All its data files.
    pub fn files(&self) -> Result<DataFiles, LakeError> {
        let state = self.delta.snapshot().map_err(LakeError::table(&self.name))?;
        let live = state.log_data();
        let files = live.iter().map(|file| DataFile {
            name: file.path().into_owned(),
            size: u64::try_from(file.size()).unwrap_or_default(),
            stats: file.stats(),
        });
        self.choice(files.collect())
    }

    /// Files that were written for it with these columns, and are not committed.
    pub fn written(&self, written: &Written, columns: &Columns) -> Result<DataFiles, LakeError> {
        let files = written.adds.iter().map(|add| DataFile {
            name: add.path.clone(),
            size: u64::try_from(add.size).unwrap_or_default(),
            stats: add.stats.clone(),
        });
        let choice = self.choice(files.collect())?;
        Ok(DataFiles { schema: Arc::clone(&columns.schema), ..choice })
    }

    /// Some of its data files.
    pub(super) fn choice(&self, files: Vec<DataFile>) -> Result<DataFiles, LakeError> {
        let log = self.delta.log_store();
        let root = Path::from_url_path(log.root_url().path()).map_err(|error| {
            LakeError::table(&self.name)(deltalake::ObjectStoreError::from(error).into())
        })?;
        Ok(DataFiles {
            table: self.name.clone(),
            schema: self.schema()?,
            store: log.root_object_store(None),
            root,
            files,
            apart: false,
        })
    }
}

impl DataFiles {
    /// Files with these columns, by their names below a root of a store.
    pub(super) fn at(
        name: &str,
        schema: &SchemaRef,
        (store, root): (ObjectStoreRef, Path),
        files: Vec<DataFile>,
    ) -> Self {
        let (table, schema) = (name.to_owned(), Arc::clone(schema));
        Self { table, schema, store, root, files, apart: false }
    }

    /// Rows in all of them, as far as the log says.
    pub fn rows(&self) -> u64 {
        self.files.iter().map(DataFile::rows).sum()
    }

    /// Bytes of all of them.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// The files.
    pub(super) fn into_inner(self) -> Vec<DataFile> {
        self.files
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &DataFile> {
        self.files.iter()
    }

    /// The one of a name.
    pub fn named(&self, name: &str) -> Option<Self> {
        let file = self.files.iter().find(|file| file.name == name)?;
        Some(Self { files: vec![file.clone()], ..self.clone() })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// These without some.
    pub fn without(mut self, others: &Self) -> Self {
        let others: BTreeSet<&str> = others.names().collect();
        self.files.retain(|file| !others.contains(file.name.as_str()));
        self
    }

    /// These without some, and with others.
    pub fn replaced(mut self, gone: &[Self], new: &Self) -> Self {
        let gone: BTreeSet<&str> = gone.iter().flat_map(Self::names).collect();
        self.files.retain(|file| !gone.contains(file.name.as_str()));
        self.files.extend(new.files.iter().cloned());
        self
    }

    /// How many rows have a null in a column; `None` where the log does not say.
    pub fn nulls(&self, column: &str) -> Option<u64> {
        let nulls = |file: &DataFile| file.parsed().null_count.get(column).and_then(Value::as_u64);
        self.files.iter().map(nulls).sum()
    }

    /// The least and the greatest number of a column; `None` where the log does not say.
    pub fn bounds(&self, column: &str) -> Option<(f64, f64)> {
        let mut bounds: Option<(f64, f64)> = None;
        for file in &self.files {
            let stats = file.parsed();
            let of = |values: &Map<String, Value>| values.get(column).and_then(Value::as_f64);
            let (min, max) = (of(&stats.min_values)?, of(&stats.max_values)?);
            bounds = Some(bounds.map_or((min, max), |(low, high)| (low.min(min), high.max(max))));
        }
        bounds
    }

    /// Makes them readable in a session, as one table of this name.
    pub fn register(&self, session: &SessionContext, name: &str) -> Result<(), LakeError> {
        let table = session.register_table(name, Arc::new(self.clone()));
        table.map(|_| ()).map_err(LakeError::plan(&self.table))
    }

    /// The same, read with each file as a partition of its own, in this order, by plans of a session
    /// of [`in_pieces`](crate::lake::session::Sessions::in_pieces).
    pub fn apart(self) -> Self {
        Self { apart: true, ..self }
    }

    /// The same as files of change data, with the column that says what became of a row.
    pub(super) fn with_kinds(self) -> (Self, &'static str) {
        let mut fields = self.schema.fields().to_vec();
        fields.push(Arc::new(Field::new(CHANGE_TYPE, DataType::Utf8, true)));
        (Self { schema: Arc::new(Schema::new(fields)), ..self }, CHANGE_TYPE)
    }

    /// Each file by itself.
    pub fn each(&self) -> impl Iterator<Item = Self> + '_ {
        self.files.iter().map(|file| Self { files: vec![file.clone()], ..self.clone() })
    }

    /// The table's name.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// Their columns.
    pub fn arrow_schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// The type of a column; `None` if there is none of this name.
    pub fn column(&self, name: &str) -> Option<&DataType> {
        self.schema.field_with_name(name).ok().map(Field::data_type)
    }

    /// The same number for the same files.
    pub fn identity(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.files.iter().for_each(|file| file.name.hash(&mut hasher));
        hasher.finish()
    }

    /// Those that may hold rows with one of these values in a column of text.
    pub fn holding(&self, column: &str, values: &BTreeSet<String>) -> Self {
        let may = |file: &&DataFile| {
            let stats = file.parsed();
            let bound = |values: &Map<String, Value>| {
                values.get(column).and_then(Value::as_str).map(str::to_owned)
            };
            match (bound(&stats.min_values), bound(&stats.max_values)) {
                (Some(min), Some(max)) => values.range(min..=max).next().is_some(),
                _ => true,
            }
        };
        Self { files: self.files.iter().filter(may).cloned().collect(), ..self.clone() }
    }

    /// Whether one of them may hold a null in a column.
    pub fn may_hold_null(&self, column: &str) -> bool {
        self.nulls(column) != Some(0)
    }

    /// What the log calls them.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| file.name.as_str())
    }

    fn partitioned(&self, file: &DataFile) -> PartitionedFile {
        let path = file.name.split('/').fold(self.root.clone(), |path, part| path.join(part));
        let stats = Arc::new(statistics(&self.schema, &file.parsed()));
        let mut partitioned = PartitionedFile::new(String::new(), file.size);
        partitioned.object_meta.location = path;
        partitioned.with_statistics(stats)
    }
}

#[async_trait]
impl TableProvider for DataFiles {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// A filter stays above the scan in the logical plan; the physical optimizer moves it into the
    /// scan, together with those that joins make while they run.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if self.files.is_empty() {
            // A scan of no files has no partition, which other nodes do not expect.
            let schema = match projection {
                None => Arc::clone(&self.schema),
                Some(columns) => Arc::new(self.schema.project(columns)?),
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let options = TableParquetOptions {
            global: session.config().options().execution.parquet.clone(),
            ..TableParquetOptions::default()
        };
        let footers = session.runtime_env().cache_manager.get_file_metadata_cache();
        let reader = CachedParquetFileReaderFactory::new(Arc::clone(&self.store), footers);
        let source = ParquetSource::new(Arc::clone(&self.schema))
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(Arc::new(reader));
        let files = self.files.iter().map(|file| self.partitioned(file));
        let groups = match self.apart {
            true => files.map(|file| FileGroup::new(vec![file])).collect(),
            false => {
                let partitions = session.config().target_partitions();
                FileGroup::new(files.collect()).split_files(partitions)
            }
        };
        let rows = usize::try_from(self.rows()).unwrap_or(usize::MAX);
        let statistics = Statistics {
            num_rows: Precision::Exact(rows),
            ..Statistics::new_unknown(&self.schema)
        };
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::parse(STORE)?, Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            // Otherwise a partition that is done takes files of others.
            .with_preserve_order(self.apart)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

fn statistics(schema: &SchemaRef, stats: &FileStats) -> Statistics {
    let exact = |count: Option<u64>| match count.and_then(|count| usize::try_from(count).ok()) {
        Some(count) => Precision::Exact(count),
        None => Precision::Absent,
    };
    let columns = schema.fields().iter().map(|field| {
        let bound = |values: &Map<String, Value>| match values.get(field.name()) {
            Some(value) => {
                scalar(value, field.data_type()).map_or(Precision::Absent, Precision::Exact)
            }
            None => Precision::Absent,
        };
        ColumnStatistics {
            null_count: exact(stats.null_count.get(field.name()).and_then(Value::as_u64)),
            min_value: bound(&stats.min_values),
            max_value: bound(&stats.max_values),
            ..ColumnStatistics::new_unknown()
        }
    });
    Statistics {
        num_rows: exact(stats.num_records),
        total_byte_size: Precision::Absent,
        column_statistics: columns.collect(),
    }
}

/// A bound in the log as a value of the column; `None` for types whose bounds are not needed.
fn scalar(value: &Value, data_type: &DataType) -> Option<ScalarValue> {
    match data_type {
        DataType::Utf8 => value.as_str().map(ScalarValue::from),
        DataType::Int64 => value.as_i64().map(ScalarValue::from),
        DataType::Float64 => value.as_f64().map(ScalarValue::from),
        _ => None,
    }
}
