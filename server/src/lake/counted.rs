//! The store, with every call counted.

use std::fmt;
use std::ops::Range;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use deltalake::logstore::ObjectStoreRef;
use deltalake::logstore::object_store::path::Path;
use deltalake::logstore::object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    OBJECT_STORE_COALESCE_DEFAULT, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, RenameOptions, Result, UploadPart, coalesce_ranges,
};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};

use crate::metrics::{Metrics, StoreOutcome};

/// A store whose calls are counted. Calls that its client repeats by itself are one.
#[derive(Debug)]
pub(super) struct Counted {
    inner: ObjectStoreRef,
    metrics: Metrics,
    /// Whether it reads several ranges of an object at once, as a file system does.
    is_local: bool,
}

impl Counted {
    pub fn new(inner: ObjectStoreRef, metrics: Metrics, is_local: bool) -> Self {
        Self { inner, metrics, is_local }
    }

    fn listing(
        &self,
        listing: BoxStream<'static, Result<ObjectMeta>>,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        observed(listing, self.metrics.clone(), "list")
    }
}

/// Counts a stream of answers when the first is there, and each that is an error.
fn observed<T: Send + 'static>(
    answers: BoxStream<'static, Result<T>>,
    metrics: Metrics,
    operation: &'static str,
) -> BoxStream<'static, Result<T>> {
    let started = Instant::now();
    let mut is_first = true;
    // The end of a stream is an answer too: that of an empty listing.
    let ended = answers.map(Some).chain(futures::stream::iter([None]));
    ended
        .filter_map(move |answer| {
            let failed = matches!(&answer, Some(Err(_)));
            if is_first || failed {
                let outcome = answer.as_ref().map_or(StoreOutcome::Ok, |answer| outcome(answer));
                metrics.store_called(operation, outcome, started.elapsed());
                is_first = false;
            }
            std::future::ready(answer)
        })
        .boxed()
}

fn outcome<T>(answer: &Result<T>) -> StoreOutcome {
    match answer {
        Ok(_) => StoreOutcome::Ok,
        Err(Error::NotFound { .. }) => StoreOutcome::NotFound,
        Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => StoreOutcome::Conflict,
        Err(Error::NotModified { .. }) => StoreOutcome::NotModified,
        Err(_) => StoreOutcome::Error,
    }
}

async fn counted<T>(
    metrics: &Metrics,
    operation: &'static str,
    call: impl Future<Output = Result<T>>,
) -> Result<T> {
    let started = Instant::now();
    let answer = call.await;
    metrics.store_called(operation, outcome(&answer), started.elapsed());
    answer
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for Counted {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        counted(&self.metrics, "put", self.inner.put_opts(location, payload, opts)).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let begun = self.inner.put_multipart_opts(location, opts);
        let upload = counted(&self.metrics, "upload", begun).await?;
        Ok(Box::new(CountedUpload { inner: upload, metrics: self.metrics.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let operation = if options.head { "head" } else { "get" };
        let got = counted(&self.metrics, operation, self.inner.get_opts(location, options)).await?;
        let payload = match got.payload {
            GetResultPayload::Stream(bytes) => {
                let (metrics, started) = (self.metrics.clone(), Instant::now());
                let told = bytes.inspect(move |bytes| {
                    if bytes.is_err() {
                        metrics.store_called(operation, StoreOutcome::Error, started.elapsed());
                    }
                });
                GetResultPayload::Stream(told.boxed())
            }
            file => file,
        };
        Ok(GetResult { payload, ..got })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        if self.is_local {
            return counted(&self.metrics, "get", self.inner.get_ranges(location, ranges)).await;
        }
        // As the trait does it: each range that is asked for is a call.
        let one = |range: Range<u64>| async move {
            let options = GetOptions { range: Some(range.into()), ..GetOptions::default() };
            self.get_opts(location, options).await?.bytes().await
        };
        coalesce_ranges(ranges, one, OBJECT_STORE_COALESCE_DEFAULT).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let (metrics, mut last) = (self.metrics.clone(), Instant::now());
        self.inner
            .delete_stream(locations)
            .inspect(move |answer| {
                metrics.store_called("delete", outcome(answer), last.elapsed());
                last = Instant::now();
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listing(self.inner.list(prefix))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listing(self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        counted(&self.metrics, "list", self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        counted(&self.metrics, "copy", self.inner.copy_opts(from, to, options)).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        counted(&self.metrics, "rename", self.inner.rename_opts(from, to, options)).await
    }
}

/// An upload in parts.
#[derive(Debug)]
struct CountedUpload {
    inner: Box<dyn MultipartUpload>,
    metrics: Metrics,
}

#[async_trait]
impl MultipartUpload for CountedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (metrics, part) = (self.metrics.clone(), self.inner.put_part(data));
        async move { counted(&metrics, "upload_part", part).await }.boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        counted(&self.metrics, "upload_complete", self.inner.complete()).await
    }

    async fn abort(&mut self) -> Result<()> {
        counted(&self.metrics, "upload_abort", self.inner.abort()).await
    }
}
