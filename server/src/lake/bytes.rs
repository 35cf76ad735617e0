//! Bytes of an object as a stream, without holding more than a few parts of it.

use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path as FilePath;
use std::sync::Arc;

use bytes::Bytes;
use deltalake::ObjectStoreError as StoreError;
use deltalake::logstore::object_store::{
    GetOptions, GetRange, GetResultPayload, ObjectStore, ObjectStoreExt,
};
use futures::stream::{self, BoxStream, StreamExt};

use super::error::LakeError;
use super::store::Lake;

/// Bytes that are read from a local file at once; what object_store takes, 8 KiB, costs more in
/// switching than in reading.
const PART: u64 = 256 * 1024;
/// Parts of a local file that are read ahead of whoever takes them.
const AHEAD: usize = 2;

/// Parts of an object, in order.
pub type ObjectBytes = BoxStream<'static, Result<Bytes, LakeError>>;

impl Lake {
    /// A range of an object's bytes, which is not empty; `None` if there is no such object. The path
    /// is below the lake's root.
    ///
    /// # Errors
    /// If the store does not give it, or the object ends within the range; also in the stream.
    pub async fn read_range(
        &self,
        path: &str,
        range: Range<u64>,
    ) -> Result<Option<ObjectBytes>, LakeError> {
        let failed = |source| LakeError::Object { path: path.to_owned(), source: Box::new(source) };
        let options =
            GetOptions { range: Some(GetRange::Bounded(range.clone())), ..GetOptions::default() };
        let got = match self.store.get_opts(&self.object(path), options).await {
            Ok(got) => got,
            Err(StoreError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        if got.range != range {
            let reason = format!("it has {} bytes, {} were expected", got.meta.size, range.end);
            return Err(LakeError::Unreadable { path: path.to_owned(), reason });
        }
        let path = path.to_owned();
        let parts = match got.payload {
            GetResultPayload::File(file, place) => local(Arc::new(file), place.into(), range),
            GetResultPayload::Stream(parts) => parts,
        };
        let failed =
            move |source| LakeError::Object { path: path.clone(), source: Box::new(source) };
        Ok(Some(parts.map(move |part| part.map_err(&failed)).boxed()))
    }

    /// How many bytes an object has; `None` if there is none.
    ///
    /// # Errors
    /// If the store does not say.
    pub async fn object_bytes(&self, path: &str) -> Result<Option<u64>, LakeError> {
        match self.store.head(&self.object(path)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(LakeError::Object { path: path.to_owned(), source: Box::new(error) }),
        }
    }
}

/// Parts of a file.
fn local(
    file: Arc<std::fs::File>,
    place: Arc<FilePath>,
    range: Range<u64>,
) -> BoxStream<'static, Result<Bytes, StoreError>> {
    let parts = range.clone().step_by(PART as usize);
    let parts = parts.map(move |from| from..range.end.min(from.saturating_add(PART)));
    let read = move |part: Range<u64>| {
        let (file, place) = (Arc::clone(&file), Arc::clone(&place));
        async move {
            let read = tokio::task::spawn_blocking(move || {
                let bytes = usize::try_from(part.end - part.start).unwrap_or_default();
                let mut buffer = vec![0; bytes];
                file.read_exact_at(&mut buffer, part.start).map_err(|source| {
                    StoreError::Generic {
                        store: "LocalFileSystem",
                        source: format!("{}: {source}", place.display()).into(),
                    }
                })?;
                Ok(Bytes::from(buffer))
            });
            read.await.unwrap_or_else(|source| Err(StoreError::JoinError { source }))
        }
    };
    stream::iter(parts).map(read).buffered(AHEAD).boxed()
}
