//! Bytes of an object as a stream, without holding more than a few parts of it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path as FilePath;
use std::sync::Arc;

use bytes::Bytes;
use deltalake::ObjectStoreError as StoreError;
use deltalake::logstore::object_store::{
    GetOptions, GetRange, GetResultPayload, ObjectStore, ObjectStoreExt,
};
use futures::stream::{self, BoxStream, StreamExt};
use tokio::task::JoinHandle;

use super::error::LakeError;
use super::store::Lake;

/// Bytes that are read from a local file at once; what object_store takes, 8 KiB, costs more in
/// switching than in reading.
const PART: u64 = 512 * 1024;

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
            GetResultPayload::File(file, place) => local(file, place.into(), range),
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

/// Parts of a file, the next of which is read while one is taken.
fn local(
    mut file: File,
    place: Arc<FilePath>,
    range: Range<u64>,
) -> BoxStream<'static, Result<Bytes, StoreError>> {
    let start = range.start;
    let begin = move || {
        file.seek(SeekFrom::Start(start))?;
        Ok(file)
    };
    let bytes = range.end - range.start;
    let first = read(begin, bytes.min(PART));
    let state = (Some(first), bytes.saturating_sub(PART));
    let parts = stream::try_unfold(state, move |(reading, left)| {
        let place = Arc::clone(&place);
        async move {
            let Some(reading) = reading else { return Ok(None) };
            let part = reading.await.map_err(|source| StoreError::JoinError { source })?;
            let (file, part) = part.map_err(|source| StoreError::Generic {
                store: "LocalFileSystem",
                source: format!("{}: {source}", place.display()).into(),
            })?;
            let next = (left > 0).then(|| read(move || Ok(file), left.min(PART)));
            Ok(Some((part, (next, left.saturating_sub(PART)))))
        }
    });
    parts.boxed()
}

/// Reads so many bytes of a file, on a thread that may wait for them.
fn read(
    file: impl FnOnce() -> io::Result<File> + Send + 'static,
    bytes: u64,
) -> JoinHandle<io::Result<(File, Bytes)>> {
    tokio::task::spawn_blocking(move || {
        let mut file = file()?;
        // Room that nobody fills with zeros first.
        let mut part = Vec::with_capacity(usize::try_from(bytes).unwrap_or_default());
        (&mut file).take(bytes).read_to_end(&mut part)?;
        match part.len() as u64 == bytes {
            true => Ok((file, Bytes::from(part))),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    })
}
