//! What is compressed for who accepts it.

use axum::http::Response;
use axum::http::header::{CONTENT_TYPE, ETAG};
use http_body::Body;
use tower_http::CompressionLevel;
use tower_http::compression::{CompressionLayer, Predicate};

/// Compressed already, or of no use when it is kept back until a block of it is full.
const NEVER: [&str; 4] = [
    "application/vnd.apache.arrow.stream",
    "application/vnd.apache.parquet",
    "application/octet-stream",
    "text/event-stream",
];

/// Which answers are worth it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Worthwhile {
    least: u64,
}

/// gzip and zstd, as `Accept-Encoding` says, for answers of at least so many bytes and of unknown
/// length.
pub(super) fn compression(least: u16) -> CompressionLayer<Worthwhile> {
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(Worthwhile { least: u64::from(least) })
}

impl Predicate for Worthwhile {
    fn should_compress<B: Body>(&self, response: &Response<B>) -> bool {
        let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let kind: &str = text(CONTENT_TYPE).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        // A strong ETag names bytes (RFC 9110, section 8.8.1): these and no others.
        let exact = text(ETAG).is_some_and(|tag| !tag.starts_with("W/"));
        let small = response.body().size_hint().exact().is_some_and(|bytes| bytes < self.least);
        !small && !exact && !NEVER.iter().any(|never| kind.eq_ignore_ascii_case(never))
    }
}
