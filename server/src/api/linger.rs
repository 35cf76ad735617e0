//! An answer that comes before all of the request was read must still arrive.
//!
//! A server that closes a connection on which bytes are waiting makes the client's system forget what
//! was answered (RFC 9112, section 9.6). So what a handler leaves unread is read on for a while, and
//! forgotten.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use futures::StreamExt;
use http_body::{Frame, SizeHint};
use tokio::runtime::Handle;

/// How long is read on.
const LONGEST: Duration = Duration::from_secs(5);
/// How many bytes.
const MOST: usize = 64 * 1024 * 1024;

/// Reads on what the handler leaves.
pub(super) async fn linger(request: Request) -> Request {
    request.map(|body| Body::new(Lingering(Some(body))))
}

/// A body of which the rest is read when it is dropped; nothing once it is at its end.
struct Lingering(Option<Body>);

impl HttpBody for Lingering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.0 else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(context);
        if !matches!(frame, Poll::Pending | Poll::Ready(Some(Ok(_)))) {
            self.0 = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let Some(body) = self.0.take().filter(|body| !body.is_end_stream()) else { return };
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(tokio::time::timeout(LONGEST, forget(body)));
        }
    }
}

async fn forget(body: Body) {
    let mut chunks = body.into_data_stream();
    let mut left = MOST;
    while let Some(Ok(chunk)) = chunks.next().await {
        match left.checked_sub(chunk.len()) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}
