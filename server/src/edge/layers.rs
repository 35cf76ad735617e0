//! What every request and answer goes through, in one place.

use std::any::Any;

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::response::Response;
use stedi_openapi::Code;
use tower_http::catch_panic::CatchPanicLayer;

use super::bounds::{Bounds, OwnLimits, bound};
use super::compress::compression;
use super::cors::cors;
use super::observe::observe;
use super::problem::{problem, problems};
use crate::config::HttpConfig;
use crate::metrics::Metrics;

/// The router within its layers; the last one here is the first that a request meets.
///
/// They wrap each route, so that they know which one matched, and the fallbacks.
pub(super) fn layered(
    router: Router,
    config: &HttpConfig,
    own: &'static [OwnLimits],
    metrics: &Metrics,
) -> Router {
    let router = router
        .layer(from_fn_with_state(Bounds::new(config, own), bound))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(problems))
        .layer(compression(config.compress_bytes))
        .layer(map_response(harmless));
    let router = match cors(&config.cors_origins) {
        Some(cors) => router.layer(cors),
        None => router,
    };
    router.layer(from_fn_with_state(metrics.clone(), observe))
}

/// What the panic hook logged; the caller learns no more than that.
fn panicked(_: Box<dyn Any + Send>) -> Response {
    let detail = "the request could not be carried out; the server's log says why";
    problem(Code::Internal, detail)
}

/// Answers are data: browsers shall not guess their type, tell others their address, nor keep them
/// where the handler did not say that they may.
async fn harmless(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
