//! What a checkpoint says of files that are not in its table any more.

use bytes::Bytes;
use deltalake::arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use deltalake::arrow::compute::{filter_record_batch, is_null};
use deltalake::logstore::object_store::path::Path;
use deltalake::logstore::object_store::{ObjectStoreExt, PutPayload};
use deltalake::parquet::arrow::ArrowWriter;
use deltalake::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use deltalake::parquet::errors::ParquetError;
use deltalake::{DeltaTableError, ObjectStoreError};
use serde::Deserialize;
use serde_json::json;

use crate::lake::error::LakeError;
use crate::lake::log_files::LOG_FOLDER;
use crate::lake::table::Table;

/// The hint that names a checkpoint (Delta protocol, "Last Checkpoint File").
const HINT: &str = "_last_checkpoint";

/// The column of tombstones, and its fields that can hold what was in the rows.
const REMOVE: &str = "remove";
const MORE: [&str; 2] = ["stats", "tags"];

#[derive(Deserialize)]
struct Hint {
    version: u64,
}

impl Table {
    /// Takes the tombstones out of a checkpoint if they say more than which file it was: readers do
    /// not need them, and their statistics are those of rows that are gone. Our own commits write none
    /// with statistics. Checkpoints in several parts are left as they are.
    pub(super) async fn without_tombstones(&self, version: u64) -> Result<(), LakeError> {
        let path = checkpoint(version);
        let store = self.delta.object_store();
        let bytes = match store.get(&path).await {
            Ok(found) => found.bytes().await.map_err(|error| self.of_store(error))?,
            Err(ObjectStoreError::NotFound { .. }) => return Ok(()),
            Err(error) => return Err(self.of_store(error)),
        };
        if let Some((bytes, rows)) = cleaned(bytes).map_err(|error| self.of_parquet(error))? {
            // Whoever opens the table at this moment may fail and has to open it again.
            let put = store.put(&path, PutPayload::from(bytes)).await;
            put.map_err(|error| self.of_store(error))?;
            self.write_hint(version, rows).await?;
        }
        Ok(())
    }

    /// Makes the hint name a checkpoint that stays: one that was killed may have left it behind.
    pub(super) async fn hint_at(&self, version: u64) -> Result<(), LakeError> {
        let store = self.delta.object_store();
        let hint = match store.get(&Path::from(format!("{LOG_FOLDER}/{HINT}"))).await {
            Ok(found) => found.bytes().await.map_err(|error| self.of_store(error))?,
            Err(ObjectStoreError::NotFound { .. }) => Bytes::new(),
            Err(error) => return Err(self.of_store(error)),
        };
        let named = serde_json::from_slice::<Hint>(&hint).ok().map(|hint| hint.version);
        if named.is_some_and(|named| named >= version) {
            return Ok(());
        }
        let found = store.get(&checkpoint(version)).await.map_err(|error| self.of_store(error))?;
        let bytes = found.bytes().await.map_err(|error| self.of_store(error))?;
        let read = ParquetRecordBatchReaderBuilder::try_new(bytes);
        let read = read.map_err(|error| self.of_parquet(error))?;
        self.write_hint(version, read.metadata().file_metadata().num_rows()).await
    }

    async fn write_hint(&self, version: u64, rows: i64) -> Result<(), LakeError> {
        let text = json!({ "version": version, "size": rows }).to_string();
        let path = Path::from(format!("{LOG_FOLDER}/{HINT}"));
        let put = self.delta.object_store().put(&path, PutPayload::from(text)).await;
        put.map(|_| ()).map_err(|error| self.of_store(error))
    }

    fn of_store(&self, error: ObjectStoreError) -> LakeError {
        LakeError::table(&self.name)(error.into())
    }

    fn of_parquet(&self, source: ParquetError) -> LakeError {
        LakeError::table(&self.name)(DeltaTableError::Parquet { source })
    }
}

fn checkpoint(version: u64) -> Path {
    Path::from(format!("{LOG_FOLDER}/{version:020}.checkpoint.parquet"))
}

/// The same checkpoint without tombstones, and how many rows it has; `None` where none of them says
/// more than it must.
fn cleaned(bytes: Bytes) -> Result<Option<(Vec<u8>, i64)>, ParquetError> {
    let read = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
    let schema = std::sync::Arc::clone(read.schema());
    let batches = read.build()?.collect::<Result<Vec<RecordBatch>, _>>()?;
    if !batches.iter().any(says_more) {
        return Ok(None);
    }
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, None)?;
    let mut rows = 0;
    for batch in &batches {
        let live = match batch.column_by_name(REMOVE) {
            Some(removes) => is_null(removes)?,
            None => BooleanArray::from(vec![true; batch.num_rows()]),
        };
        let batch = filter_record_batch(batch, &live)?;
        rows += i64::try_from(batch.num_rows()).unwrap_or(i64::MAX);
        writer.write(&batch)?;
    }
    Ok(Some((writer.into_inner()?, rows)))
}

/// Whether a tombstone has statistics or tags.
fn says_more(batch: &RecordBatch) -> bool {
    let Some(removes) = batch.column_by_name(REMOVE).and_then(|it| it.as_struct_opt()) else {
        return false;
    };
    let mut more = MORE.iter().filter_map(|name| removes.column_by_name(name));
    more.any(|values| (0..values.len()).any(|row| removes.is_valid(row) && values.is_valid(row)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use deltalake::arrow::array::{ArrayRef, StringArray, StructArray};
    use deltalake::arrow::datatypes::{DataType, Field};

    use super::*;

    /// A checkpoint of an `add` and a `remove`, whose statistics are these.
    fn checkpoint_of(stats: Option<&str>) -> Bytes {
        let texts =
            |values: [Option<&str>; 2]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
        let field = |name: &str| Arc::new(Field::new(name, DataType::Utf8, true));
        let removes = StructArray::new(
            vec![field("path"), field("stats")].into(),
            vec![texts([None, Some("gone.parquet")]), texts([None, stats])],
            Some(vec![false, true].into()),
        );
        let columns: [(&str, ArrayRef); 2] =
            [("add", texts([Some("live.parquet"), None])), (REMOVE, Arc::new(removes))];
        let batch = RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().map(|(name, column)| (name, column, true)),
        )
        .unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap().into()
    }

    #[test]
    fn tombstones_go_that_say_what_was_in_the_rows() {
        assert!(cleaned(checkpoint_of(None)).unwrap().is_none());
        let (bytes, rows) =
            cleaned(checkpoint_of(Some(r#"{"minValues":{"n":"Ann"}}"#))).unwrap().unwrap();
        assert_eq!(rows, 1);
        let read = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).unwrap();
        let batch = read.build().unwrap().next().unwrap().unwrap();
        assert_eq!(batch.num_rows(), 1);
        assert!(batch.column_by_name(REMOVE).unwrap().is_null(0));
    }
}
