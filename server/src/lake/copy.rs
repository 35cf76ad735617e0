//! Objects of a lake as they are, for a copy of it somewhere else.

use deltalake::ObjectStoreError as StoreError;
use deltalake::logstore::object_store::buffered::BufWriter;
use deltalake::logstore::object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload};
use futures::{StreamExt, TryStreamExt};
use tokio::io::AsyncWriteExt;

use super::error::LakeError;
use super::store::Lake;

/// Bytes of an object that is written in one request.
const SMALL: u64 = 4 * 1024 * 1024;

/// An object of a lake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Where it lies, below the lake's root.
    pub path: String,
    /// Its bytes.
    pub bytes: u64,
    /// When it was written last, in epoch milliseconds by the store's clock.
    pub written: i64,
}

impl Lake {
    /// All objects below a folder, at any depth; `""` is the lake's root.
    ///
    /// # Errors
    /// If they cannot be listed.
    pub async fn objects_below(&self, folder: &str) -> Result<Vec<Stored>, LakeError> {
        let below = match folder {
            "" => self.root.clone(),
            folder => self.object(folder),
        };
        let root = self.root.as_ref();
        let stored = |meta: ObjectMeta| {
            let path = meta.location.as_ref().strip_prefix(root)?.trim_start_matches('/');
            let written = meta.last_modified.timestamp_millis();
            Some(Stored { path: path.to_owned(), bytes: meta.size, written })
        };
        let listed = self.store.list(Some(&below)).map_ok(stored).try_collect::<Vec<_>>().await;
        Ok(listed.map_err(failed(folder))?.into_iter().flatten().collect())
    }

    /// Copies an object to the same path of another lake, in the place of what is there; how many bytes
    /// it has, or `None` if it is gone.
    ///
    /// # Errors
    /// If one lake cannot be read or the other not be written. What is there of it then is as it was.
    pub async fn copy_object(&self, to: &Lake, path: &str) -> Result<Option<u64>, LakeError> {
        let failed = failed(path);
        let got = match self.store.get(&self.object(path)).await {
            Ok(got) => got,
            Err(StoreError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let bytes = got.meta.size;
        if bytes <= SMALL {
            let all = got.bytes().await.map_err(&failed)?;
            let put = to.store.put(&to.object(path), PutPayload::from(all)).await;
            put.map_err(&failed)?;
            return Ok(Some(bytes));
        }
        let mut parts = got.into_stream();
        let mut writer = BufWriter::new(to.store.clone(), to.object(path));
        let unwritten = |error: std::io::Error| {
            failed(StoreError::Generic { store: "copy", source: Box::new(error) })
        };
        while let Some(part) = parts.next().await {
            match part {
                Ok(part) => writer.put(part).await.map_err(&failed)?,
                Err(error) => {
                    writer.abort().await.map_err(&failed)?;
                    return Err(failed(error));
                }
            }
        }
        writer.shutdown().await.map_err(unwritten)?;
        Ok(Some(bytes))
    }
}

fn failed(path: &str) -> impl Fn(StoreError) -> LakeError {
    let path = path.to_owned();
    move |source| LakeError::Object { path: path.clone(), source: Box::new(source) }
}
