//! What is seen of a request: its id, its span, its line in the log, its metrics.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::BoxError;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use http_body::{Frame, SizeHint};
use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::activity::Busy;
use super::problem::Word;
use super::request_id::{HEADER, RequestId};
use crate::metrics::{GoingOn, Metrics, Request as Answered};

/// The status of who went away before the answer began; nobody is sent it.
const WENT_AWAY: u16 = 499;
/// The route of paths that no route takes.
const NO_ROUTE: &str = "none";

/// Says in the request's span who is asking, and in which roles.
pub fn asked_by(principal: &str, roles: &str) {
    Span::current().record("principal", principal).record("roles", roles);
}

/// Gives every request an id, and records it when the last byte of its answer is gone.
pub(super) async fn observe(
    State(metrics): State<Metrics>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = RequestId::of(request.headers());
    if let Some(token) = request.headers_mut().get_mut(AUTHORIZATION) {
        // Debug output of headers leaves it out.
        token.set_sensitive(true);
    }
    let route = match request.extensions().get::<MatchedPath>() {
        Some(path) => path.as_str().to_owned(),
        None => NO_ROUTE.to_owned(),
    };
    let method = word(request.method());
    let span = tracing::info_span!(
        "request",
        request_id = %id,
        method,
        route,
        principal = Empty,
        roles = Empty,
        ordered = Empty,
        traceparent = request.headers().get("traceparent").and_then(parent)
    );
    let mut record = Record {
        busy: request.extensions_mut().remove::<Busy>(),
        in_flight: metrics.request_begins(),
        metrics,
        span: span.clone(),
        started: Instant::now(),
        method,
        route,
        status: WENT_AWAY,
        code: None,
        bytes: 0,
        complete: false,
    };
    let without_body = request.method() == Method::HEAD;
    request.extensions_mut().insert(id.clone());
    let mut response = next.run(request).instrument(span).await;
    record.status = response.status().as_u16();
    record.code = response.extensions_mut().remove::<Word>().map(|word| word.0);
    if let Some(id) = id.value() {
        response.headers_mut().insert(HEADER, id);
    }
    response.map(|inner| {
        let whole = inner.size_hint().exact();
        record.complete = without_body || inner.is_end_stream();
        Body::new(Observed { inner, whole, record })
    })
}

/// The trace that a request belongs to, if it is of the form that it must have; it is logged.
fn parent(header: &HeaderValue) -> Option<&str> {
    let plain = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    header.to_str().ok().filter(|text| text.len() == 55 && text.bytes().all(plain))
}

/// The methods of HTTP; a client may send any word as a method, and metrics keep every word.
fn word(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// What is known of a request; told when it is dropped, with the answer's body or without.
#[derive(Debug)]
struct Record {
    metrics: Metrics,
    span: Span,
    started: Instant,
    method: &'static str,
    route: String,
    status: u16,
    code: Option<String>,
    bytes: u64,
    /// Whether all of the answer was handed over.
    complete: bool,
    #[expect(dead_code, reason = "held for its drop")]
    in_flight: GoingOn,
    busy: Option<Busy>,
}

impl Drop for Record {
    fn drop(&mut self) {
        let elapsed = self.started.elapsed();
        let (method, route, status) = (self.method, self.route.as_str(), self.status);
        self.metrics.request(&Answered { method, route, status, elapsed });
        let denied = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
        if denied.iter().any(|denied| denied.as_u16() == self.status) {
            self.metrics.denied(self.code.as_deref().unwrap_or("none"));
        }
        let ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let _entered = self.span.enter();
        tracing::info!(
            status,
            code = self.code.as_deref(),
            ms,
            bytes = self.bytes,
            complete = self.complete,
            "answered"
        );
    }
}

/// An answer's body that is counted as it goes out.
#[derive(Debug)]
struct Observed {
    inner: Body,
    /// Its length, where that is known from the start.
    whole: Option<u64>,
    record: Record,
}

impl HttpBody for Observed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        // What is logged while a result streams belongs to its request.
        let span = this.record.span.clone();
        let _entered = span.enter();
        let busy = this.record.busy.as_ref();
        if let Some(busy) = busy {
            busy.taken();
        }
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(context));
        if let Some(busy) = busy {
            busy.handed_over();
        }
        match &frame {
            None => this.record.complete = true,
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
                this.record.bytes += bytes;
                // Nobody asks for the end where the length was known.
                let whole = this.whole == Some(this.record.bytes);
                this.record.complete = whole || this.inner.is_end_stream();
            }
            Some(Err(_)) => this.record.complete = false,
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
