//! Data files by where they lie in the lake, whether a table has them or not: what snapshots are
//! made of.

use std::sync::Arc;

use deltalake::arrow::datatypes::SchemaRef;
use deltalake::datafusion::dataframe::DataFrame;
use deltalake::logstore::object_store::prefix::PrefixStore;
use deltalake::logstore::object_store::{ObjectStore, ObjectStoreExt};
use futures::StreamExt;
use sha2::{Digest, Sha256};

use super::error::LakeError;
use super::files::{DataFile, DataFiles};
use super::store::Lake;
use super::table::{Columns, Table};
use super::write::Writer;

/// A data file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where it lies, below the lake's root.
    pub path: String,
    /// Its rows.
    pub rows: u64,
    /// Its bytes.
    pub bytes: u64,
}

impl Part {
    /// The name of the file in its folder, which for a file of a table is what the log calls it.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

impl Table {
    /// The data files of this version of a table in a folder.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn parts(&self, folder: &str) -> Result<Vec<Part>, LakeError> {
        let part = |file: &DataFile| Part {
            path: format!("{folder}/{}/{}", self.name, file.name),
            rows: file.rows(),
            bytes: file.size,
        };
        Ok(self.files()?.into_inner().iter().map(part).collect())
    }
}

impl Lake {
    /// Data files with these columns, as a relation. `name` is for errors.
    pub fn parts(&self, name: &str, schema: &SchemaRef, parts: &[Part]) -> DataFiles {
        let file = |part: &Part| DataFile {
            name: part.path.clone(),
            size: part.bytes,
            stats: Some(format!("{{\"numRecords\":{}}}", part.rows)),
        };
        let files = parts.iter().map(file).collect();
        DataFiles::at(name, schema, (Arc::clone(&self.store), self.root.clone()), files)
    }

    /// The SHA-256 of an object, in hexadecimal, and its bytes. It is read once, in pieces.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn digest(&self, path: &str) -> Result<(String, u64), LakeError> {
        let failed = |source| LakeError::Object { path: path.to_owned(), source: Box::new(source) };
        let mut stream = self.store.get(&self.object(path)).await.map_err(failed)?.into_stream();
        let (mut digest, mut bytes) = (Sha256::new(), 0);
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(failed)?;
            bytes += piece.len() as u64;
            digest.update(&piece);
        }
        Ok((hex::encode(digest.finalize()), bytes))
    }

    /// Writes rows, in their order, into new data files in a folder.
    ///
    /// # Errors
    /// If the rows cannot be read or the files not be written; then no file is left behind, as far as
    /// it can be removed.
    pub async fn write_parts(
        &self,
        folder: &str,
        name: &str,
        rows: DataFrame,
        columns: &Columns,
    ) -> Result<Vec<Part>, LakeError> {
        let failed = LakeError::plan(name);
        let store: Arc<dyn ObjectStore> =
            Arc::new(PrefixStore::new(Arc::clone(&self.store), self.object(folder)));
        let mut writer = Writer::apart(store, name, columns);
        let written = async {
            let mut rows = rows.execute_stream().await.map_err(failed)?;
            while let Some(batch) = rows.next().await {
                writer.write(&batch.map_err(failed)?).await?;
            }
            Ok(())
        };
        if let Err(error) = written.await {
            writer.abandon().await;
            return Err(error);
        }
        let written = writer.finish().await?;
        let part = |add: &deltalake::kernel::Add| {
            let file = DataFile {
                name: add.path.clone(),
                size: u64::try_from(add.size).unwrap_or_default(),
                stats: add.stats.clone(),
            };
            let path = format!("{folder}/{}", file.name);
            Part { path, rows: file.rows(), bytes: file.size }
        };
        Ok(written.adds.iter().map(part).collect())
    }
}
