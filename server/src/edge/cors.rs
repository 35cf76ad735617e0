//! Pages of other origins may ask where the configuration says so (CORS), and nowhere else.

use std::time::Duration;

use axum::http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE,
};
use axum::http::{HeaderName, HeaderValue, Method};
use tower_http::cors::{AllowOrigin, Any, CorsLayer};

use super::request_id;

/// How long a browser may remember what is allowed.
const REMEMBERED: Duration = Duration::from_secs(600);

/// `None` where no origin is allowed: answers say nothing of CORS then, and browsers refuse.
///
/// Credentials are not allowed: a token is a header that a page must have itself.
pub(super) fn cors(origins: &[String]) -> Option<CorsLayer> {
    let origins: Vec<HeaderValue> =
        origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
    if origins.is_empty() {
        return None;
    }
    let allowed = match origins.iter().any(|origin| origin == "*") {
        true => AllowOrigin::from(Any),
        false => AllowOrigin::list(origins),
    };
    let headers = [
        ACCEPT,
        AUTHORIZATION,
        CONTENT_ENCODING,
        CONTENT_TYPE,
        IF_MATCH,
        IF_NONE_MATCH,
        IF_RANGE,
        RANGE,
        HeaderName::from_static("idempotency-key"),
        HeaderName::from_static("prefer"),
        request_id::HEADER,
    ];
    let layer = CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::DELETE])
        .allow_headers(headers)
        .expose_headers(Any)
        .max_age(REMEMBERED);
    Some(layer)
}
