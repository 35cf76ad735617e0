//! The body of a request, which may be too large or stop coming.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep};

/// Bytes of a body that is too large which are read and thrown away, and the time for it. A client
/// that is still writing when the connection closes may lose the answer that tells it why (RFC 9112,
/// section 9.6).
const SPARE_BYTES: u64 = 16 << 20;
const SPARE_TIME: Duration = Duration::from_secs(2);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What became of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Fate {
    /// Not all of it has come yet.
    Coming,
    /// All of it was read.
    Read,
    /// It has more bytes than it may.
    TooLarge,
    /// Nothing more came for too long.
    Stalled,
}

/// The fate of a body, known to who did not read it.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch(Arc<AtomicU8>);

impl Watch {
    pub fn fate(&self) -> Fate {
        match self.0.load(Ordering::SeqCst) {
            1 => Fate::Read,
            2 => Fate::TooLarge,
            3 => Fate::Stalled,
            _ => Fate::Coming,
        }
    }

    fn set(&self, fate: Fate) {
        self.0.store(fate as u8, Ordering::SeqCst);
    }
}

/// A body with bounds.
#[derive(Debug)]
pub(super) struct Upload {
    inner: Body,
    /// Bytes that may still come.
    left: Option<u64>,
    patience: Duration,
    /// Runs while more is waited for.
    limit: Pin<Box<Sleep>>,
    waits: bool,
    /// Bytes that may still be thrown away, once it is too large.
    spare: Option<u64>,
    watch: Watch,
}

/// A body that has more bytes than it may.
#[derive(Debug, thiserror::Error)]
#[error("the body is too large")]
pub(super) struct TooLarge;

/// A body of which nothing more came in time.
#[derive(Debug, thiserror::Error)]
#[error("the rest of the body did not come in time")]
pub(super) struct Stalled;

impl Upload {
    /// Bounds a body: its bytes, if there is a bound of them, and how long it may pause.
    pub fn new(inner: Body, most: Option<u64>, patience: Duration) -> (Self, Watch) {
        let watch = Watch::default();
        if inner.is_end_stream() {
            watch.set(Fate::Read);
        }
        let limit = Box::pin(tokio::time::sleep(patience));
        let seen = watch.clone();
        (Self { inner, left: most, patience, limit, waits: false, spare: None, watch }, seen)
    }

    /// Takes bytes into account; false when they are too many.
    fn count(&mut self, bytes: usize) -> bool {
        let Some(left) = &mut self.left else { return true };
        match left.checked_sub(bytes as u64) {
            Some(rest) => *left = rest,
            None => {
                self.watch.set(Fate::TooLarge);
                self.spare = Some(SPARE_BYTES);
                self.limit.as_mut().reset(Instant::now() + SPARE_TIME);
            }
        }
        self.spare.is_none()
    }

    /// Reads on behind the bound, as long as there is something to spare.
    fn poll_thrown_away(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while let Some(spare @ 1..) = self.spare {
            if self.limit.as_mut().poll(context).is_ready() {
                break;
            }
            match ready!(Pin::new(&mut self.inner).poll_frame(context)) {
                Some(Ok(frame)) => {
                    let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
                    self.spare = Some(spare.saturating_sub(bytes));
                }
                Some(Err(_)) | None => break,
            }
        }
        Poll::Ready(())
    }

    /// Throws a body away that is known to be too large.
    pub async fn throw_away(inner: Body) {
        let (mut body, _) = Self::new(inner, None, SPARE_TIME);
        body.spare = Some(SPARE_BYTES);
        std::future::poll_fn(|context| body.poll_thrown_away(context)).await;
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if this.spare.is_some() {
            ready!(this.poll_thrown_away(context));
            return Poll::Ready(Some(Err(Box::new(TooLarge))));
        }
        match Pin::new(&mut this.inner).poll_frame(context) {
            Poll::Ready(frame) => {
                this.waits = false;
                Poll::Ready(match frame {
                    None => {
                        this.watch.set(Fate::Read);
                        None
                    }
                    Some(Ok(frame)) => {
                        if !this.count(frame.data_ref().map_or(0, Bytes::len)) {
                            ready!(this.poll_thrown_away(context));
                            return Poll::Ready(Some(Err(Box::new(TooLarge))));
                        }
                        if this.inner.is_end_stream() {
                            this.watch.set(Fate::Read);
                        }
                        Some(Ok(frame))
                    }
                    Some(Err(error)) => Some(Err(error.into())),
                })
            }
            Poll::Pending => {
                if !this.waits {
                    this.waits = true;
                    this.limit.as_mut().reset(Instant::now() + this.patience);
                }
                match this.limit.as_mut().poll(context) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(()) => {
                        this.watch.set(Fate::Stalled);
                        Poll::Ready(Some(Err(Box::new(Stalled))))
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use http_body_util::BodyExt;

    use super::*;

    fn chunks(lengths: &[usize]) -> Body {
        let chunks: Vec<Result<Vec<u8>, std::io::Error>> =
            lengths.iter().map(|length| Ok(vec![0; *length])).collect();
        Body::from_stream(futures::stream::iter(chunks))
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn bytes_are_counted_over_all_chunks() {
        let (body, watch) = Upload::new(chunks(&[4, 4, 2]), Some(10), SECOND);
        assert_eq!(watch.fate(), Fate::Coming);
        assert_eq!(body.collect().await.unwrap().to_bytes().len(), 10);
        assert_eq!(watch.fate(), Fate::Read);
        let (body, watch) = Upload::new(chunks(&[4, 4, 3]), Some(10), SECOND);
        assert!(body.collect().await.unwrap_err().is::<TooLarge>());
        assert_eq!(watch.fate(), Fate::TooLarge);
        let (body, _) = Upload::new(chunks(&[4, 4, 3]), None, SECOND);
        assert!(body.collect().await.is_ok());
        let (_, watch) = Upload::new(Body::empty(), Some(1), SECOND);
        assert_eq!(watch.fate(), Fate::Read);
    }

    #[tokio::test]
    async fn a_pause_is_bounded_and_not_the_whole() {
        let slow = |pause: u64, count: usize| {
            let chunk = move || async move {
                tokio::time::sleep(Duration::from_millis(pause)).await;
                Ok::<_, std::io::Error>(vec![0; 1])
            };
            Body::from_stream(futures::stream::repeat_with(chunk).take(count).then(|chunk| chunk))
        };
        let patience = Duration::from_millis(150);
        let (body, watch) = Upload::new(slow(30, 10), None, patience);
        assert_eq!(body.collect().await.unwrap().to_bytes().len(), 10);
        assert_eq!(watch.fate(), Fate::Read);
        let (body, watch) = Upload::new(slow(1000, 1), None, patience);
        assert!(body.collect().await.unwrap_err().is::<Stalled>());
        assert_eq!(watch.fate(), Fate::Stalled);
    }
}
