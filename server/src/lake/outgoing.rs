//! A table's files as they are given to others: which there are, and each without some of its columns.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use deltalake::arrow::array::RecordBatchReader;
use deltalake::datafusion::error::DataFusionError;
use deltalake::kernel::StructType;
use deltalake::logstore::object_store::ObjectStoreExt;
use deltalake::logstore::object_store::path::Path;
use deltalake::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use deltalake::parquet::arrow::{ArrowWriter, ProjectionMask};
use deltalake::parquet::errors::ParquetError;

use super::changes::CHANGE_TYPE;
use super::error::LakeError;
use super::files::DataFiles;
use super::table::Table;
use super::write::properties;

/// Rows that are decoded at once.
const ROWS: usize = 8 * 1024;

/// What became of the rows of a file, in one commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Became {
    /// They came.
    Added,
    /// They went.
    Removed,
    /// Each row says it in a column of its own (Delta protocol, "Change Data Files").
    Told,
}

/// The rows that a commit changed.
#[derive(Clone, Debug)]
pub struct ChangedRows {
    /// The files with the rows, by what became of them.
    pub files: Vec<(Became, DataFiles)>,
    /// Whether it gave the table other columns than this version has.
    pub other_columns: bool,
}

impl Table {
    /// The table's id in Delta.
    ///
    /// # Errors
    /// If its state is not known.
    pub fn id(&self) -> Result<String, LakeError> {
        let state = self.delta.snapshot().map_err(LakeError::table(&self.name))?;
        Ok(state.metadata().id().to_owned())
    }

    /// Some of its columns as JSON text (Delta protocol, "Schema Serialization Format").
    ///
    /// # Errors
    /// If its state is not known.
    pub fn schema_text(&self, keep: &BTreeSet<String>) -> Result<String, LakeError> {
        let failed = LakeError::table(&self.name);
        let state = self.delta.snapshot().map_err(failed)?;
        let schema = state.schema();
        let kept = schema.fields().filter(|field| keep.contains(field.name())).cloned();
        let kept = StructType::try_new(kept).map_err(|error| failed(error.into()))?;
        serde_json::to_string(&kept).map_err(|error| LakeError::Unreadable {
            path: self.name.clone(),
            reason: error.to_string(),
        })
    }

    /// The rows that the commit of a version changed; `None` if it is not in the log any more.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub async fn changed_rows(&self, version: u64) -> Result<Option<ChangedRows>, LakeError> {
        let Some(commit) = self.commit(version).await? else { return Ok(None) };
        let other_columns = commit.schemas.iter().any(|schema| !self.has_schema(schema));
        // Where there are change data files they say everything about the commit.
        let files = match commit.cdc.is_empty() {
            true => vec![
                (Became::Added, self.choice(commit.adds)?),
                (Became::Removed, self.choice(commit.removes)?),
            ],
            false => vec![(Became::Told, self.choice(commit.cdc)?)],
        };
        Ok(Some(ChangedRows { files, other_columns }))
    }

    /// A file of the table without other columns than these, as Parquet; `None` if it is not there any
    /// more. It is the same, byte for byte, whenever the same release makes it. What says what became
    /// of a row of change data is kept.
    ///
    /// The file and what is made of it are in memory: data files are as large as
    /// [`FILE_BYTES`](super::write::FILE_BYTES).
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn narrowed(
        &self,
        name: &str,
        keep: &BTreeSet<String>,
    ) -> Result<Option<Bytes>, LakeError> {
        let failed = LakeError::table(&self.name);
        let read = async { self.delta.object_store().get(&Path::from(name)).await?.bytes().await };
        let whole = match read.await {
            Ok(whole) => whole,
            Err(deltalake::ObjectStoreError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(failed(error.into())),
        };
        let mut keep = keep.clone();
        keep.insert(CHANGE_TYPE.to_owned());
        let made = tokio::task::spawn_blocking(move || narrow(whole, &keep)).await;
        let made = made.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)));
        let made = made.and_then(|made| made.map_err(DataFusionError::from));
        made.map(Some).map_err(LakeError::plan(&self.name))
    }
}

fn narrow(whole: Bytes, keep: &BTreeSet<String>) -> Result<Bytes, ParquetError> {
    let read = ParquetRecordBatchReaderBuilder::try_new(whole)?;
    let names = read.parquet_schema().root_schema().get_fields();
    let places = names.iter().enumerate().filter(|(_, field)| keep.contains(field.name()));
    let mask = ProjectionMask::roots(read.parquet_schema(), places.map(|(place, _)| place));
    let read = read.with_projection(mask).with_batch_size(ROWS).build()?;
    let schema = read.schema();
    // What the file says of itself beside its columns may tell of others: none of it is taken over.
    let mut schema = schema.as_ref().clone();
    schema.metadata.clear();
    let options = properties(&BTreeSet::new());
    let mut write = ArrowWriter::try_new(Vec::new(), Arc::new(schema), Some(options))?;
    for batch in read {
        write.write(&batch?)?;
    }
    write.into_inner().map(Bytes::from)
}
