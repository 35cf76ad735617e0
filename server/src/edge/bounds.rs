//! What one request may cost: its head, its body, its time.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::header::EXPECT;
use axum::http::{HeaderMap, Uri};
use axum::middleware::Next;
use axum::response::Response;
use stedi_openapi::Code;

use super::problem::problem;
use super::upload::{Fate, Upload};
use crate::config::HttpConfig;

/// A route whose handler bounds its own body or time, as a load and a statement do.
#[derive(Clone, Copy, Debug)]
pub struct OwnLimits {
    /// The route, as the router spells it: `/v1/landing/{table}`.
    pub route: &'static str,
    /// Whether its handler bounds the bytes of its body.
    pub body: bool,
    /// Whether its handler bounds its time.
    pub time: bool,
}

/// The bounds of every route.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    header_bytes: usize,
    headers: usize,
    body_bytes: u64,
    body_pause: Duration,
    time: Duration,
    own: &'static [OwnLimits],
}

impl Bounds {
    pub fn new(config: &HttpConfig, own: &'static [OwnLimits]) -> Arc<Self> {
        Arc::new(Self {
            header_bytes: usize::try_from(config.header_bytes).unwrap_or(usize::MAX),
            headers: config.headers,
            body_bytes: config.body_bytes as u64,
            body_pause: Duration::from_secs(config.body_seconds),
            time: Duration::from_secs(config.request_seconds),
            own,
        })
    }

    fn head_fits(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let target = uri.path_and_query().map_or(0, |target| target.as_str().len());
        let bytes = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
        headers.len() <= self.headers && target + bytes.sum::<usize>() <= self.header_bytes
    }
}

/// Refuses or ends what is over its bounds.
pub(super) async fn bound(
    State(bounds): State<Arc<Bounds>>,
    request: Request,
    next: Next,
) -> Response {
    if !bounds.head_fits(request.uri(), request.headers()) {
        let detail = format!(
            "the request's head has more than {} bytes or {} headers",
            bounds.header_bytes, bounds.headers
        );
        return problem(Code::HeadersTooLarge, detail);
    }
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let own = bounds.own.iter().find(|own| Some(own.route) == route);
    let most = (!own.is_some_and(|own| own.body)).then_some(bounds.body_bytes);
    let time = (!own.is_some_and(|own| own.time)).then_some(bounds.time);

    let too_large = || {
        let detail = format!("the body has more than {} bytes", most.unwrap_or_default());
        problem(Code::BodyTooLarge, detail)
    };
    if most.is_some_and(|most| request.body().size_hint().lower() > most) {
        // Reading would ask a client for its body that waits to be asked.
        if !request.headers().contains_key(EXPECT) {
            Upload::throw_away(request.into_body()).await;
        }
        return too_large();
    }
    let (parts, body) = request.into_parts();
    let (body, watch) = Upload::new(body, most, bounds.body_pause);
    let mut request = Request::from_parts(parts, Body::new(body));
    // This is the one limit; the router's own would be a second.
    DefaultBodyLimit::disable().apply(&mut request);

    let answer = next.run(request);
    let response = match time {
        None => answer.await,
        Some(time) => match tokio::time::timeout(time, answer).await {
            Ok(response) => response,
            Err(_) if watch.fate() == Fate::Coming => return stalled(),
            Err(_) => {
                let detail = format!("no answer within {} seconds", time.as_secs());
                return problem(Code::Timeout, detail);
            }
        },
    };
    // Whatever the handler made of its broken body.
    match watch.fate() {
        Fate::TooLarge if !response.status().is_success() => too_large(),
        Fate::Stalled if !response.status().is_success() => stalled(),
        _ => response,
    }
}

fn stalled() -> Response {
    let detail = "the rest of the body did not come in time";
    problem(Code::BodyTimeout, detail)
}
