//! Answers: compressed for who accepts it, and readable by pages of other origins where the
//! configuration says so.

use std::io::Read;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get};
use futures::StreamExt;
use http_body::Frame;
use http_body_util::StreamBody;
use reqwest::{Client, Method, Response};
use stedi_server::config::HttpConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Edge;

const TEXT: &str = "a line that says the same as all others\n";

/// An answer of this type with so many lines.
fn typed(kind: &'static str, tag: Option<&'static str>, lines: usize) -> MethodRouter {
    get(async move || {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", kind.parse().unwrap());
        if let Some(tag) = tag {
            headers.insert("etag", tag.parse().unwrap());
        }
        (headers, TEXT.repeat(lines))
    })
}

fn router() -> Router {
    // A line now and then.
    let stream = get(async || {
        let lines = futures::stream::iter(0..3).then(async |_| {
            tokio::time::sleep(Duration::from_millis(300)).await;
            Ok::<_, std::io::Error>(Bytes::from_static(TEXT.as_bytes()))
        });
        ([("content-type", "application/x-ndjson")], Body::from_stream(lines))
    });
    Router::new()
        .route("/json", typed("application/json", None, 1000))
        .route("/csv", typed("text/csv; charset=utf-8", Some("W/\"1\""), 1000))
        .route("/exact", typed("application/json", Some("\"1\""), 1000))
        .route("/small", typed("application/json", None, 2))
        .route("/arrow", typed("application/vnd.apache.arrow.stream", None, 1000))
        .route("/parquet", typed("application/vnd.apache.parquet", None, 1000))
        .route("/octets", typed("application/octet-stream", None, 1000))
        .route("/events", typed("text/event-stream", None, 1000))
        .route("/stream", stream)
        .route("/trailers", get(trailers))
}

/// A body with a trailer behind it.
async fn trailers() -> axum::response::Response {
    let frames = futures::stream::iter([
        Ok::<_, std::io::Error>(Frame::data(Bytes::from(TEXT.repeat(1000)))),
        Ok(Frame::trailers(HeaderMap::from_iter([(
            HeaderName::from_static("outcome"),
            HeaderValue::from_static("succeeded"),
        )]))),
    ]);
    let body = Body::new(StreamBody::new(frames));
    ([("content-type", "text/csv"), ("trailer", "outcome")], body).into_response()
}

async fn ask(edge: &Edge, path: &str, accepted: &str) -> Response {
    let request = Client::new().get(format!("{}{path}", edge.url));
    request.header("accept-encoding", accepted).send().await.unwrap()
}

fn encoding(answer: &Response) -> Option<&str> {
    answer.headers().get("content-encoding").map(|value| value.to_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn compression_is_negotiated() {
    let edge = Edge::start(router(), HttpConfig::default()).await;
    let whole = TEXT.repeat(1000);
    for path in ["/json", "/csv"] {
        let answer = ask(&edge, path, "gzip").await;
        assert_eq!(encoding(&answer), Some("gzip"), "{path}");
        assert_eq!(answer.headers()["vary"], "accept-encoding");
        let bytes = answer.bytes().await.unwrap();
        assert!(bytes.len() < whole.len() / 10, "{} bytes", bytes.len());
        let mut text = String::new();
        flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text, whole);

        let answer = ask(&edge, path, "gzip;q=0.5, zstd").await;
        assert_eq!(encoding(&answer), Some("zstd"), "{path}");
        let bytes = answer.bytes().await.unwrap();
        assert_eq!(zstd::decode_all(&bytes[..]).unwrap(), whole.as_bytes());

        for accepted in ["identity", "br", "gzip;q=0"] {
            let answer = ask(&edge, path, accepted).await;
            assert_eq!(encoding(&answer), None, "{path} {accepted}");
            assert_eq!(answer.text().await.unwrap(), whole);
        }
    }
    for path in ["/exact", "/small", "/arrow", "/parquet", "/octets", "/events"] {
        assert_eq!(encoding(&ask(&edge, path, "gzip, zstd").await), None, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_not_kept_back_by_compression() {
    let edge = Edge::start(router(), HttpConfig::default()).await;
    for accepted in ["gzip", "zstd"] {
        let answer = ask(&edge, "/stream", accepted).await;
        assert_eq!(encoding(&answer), Some(accepted));
        let mut chunks = answer.bytes_stream();
        let mut bytes = Vec::new();
        let mut lines_at_times = Vec::new();
        while let Some(chunk) = chunks.next().await {
            bytes.extend(chunk.unwrap());
            lines_at_times.push(decoded(&bytes, accepted).lines().count());
        }
        assert_eq!(lines_at_times.last(), Some(&3));
        assert!(lines_at_times.contains(&1), "{accepted}: {lines_at_times:?}");
    }
}

/// As much as can be decoded of something that has not ended.
fn decoded(bytes: &[u8], encoding: &str) -> String {
    let mut reader: Box<dyn Read> = match encoding {
        "gzip" => Box::new(flate2::read::GzDecoder::new(bytes)),
        _ => Box::new(zstd::Decoder::new(bytes).unwrap()),
    };
    let mut text = Vec::new();
    let mut buffer = [0; 64];
    while let Ok(count @ 1..) = reader.read(&mut buffer) {
        text.extend(&buffer[..count]);
    }
    String::from_utf8(text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_arrive_compressed_or_not() {
    let edge = Edge::start(router(), HttpConfig::default()).await;
    for accepted in ["identity", "gzip", "zstd"] {
        let mut stream = edge.connect().await;
        let head = format!(
            "GET /trailers HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nConnection: close\r\n\
             Accept-Encoding: {accepted}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        let end = String::from_utf8_lossy(&bytes[bytes.len() - 40..]).into_owned();
        assert!(end.ends_with("\r\n0\r\noutcome: succeeded\r\n\r\n"), "{accepted}: {end}");
        let head = String::from_utf8_lossy(&bytes[..500.min(bytes.len())]).into_owned();
        assert_eq!(head.contains("content-encoding"), accepted != "identity", "{head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_origins_may_ask_only_where_the_configuration_says_so() {
    let closed = Edge::start(router(), HttpConfig::default()).await;
    let cors_origins = vec!["https://app.example".to_owned()];
    let opened = Edge::start(router(), HttpConfig { cors_origins, ..HttpConfig::default() }).await;
    let preflight = async |edge: &Edge, origin: &str| {
        let request = Client::new().request(Method::OPTIONS, format!("{}/json", edge.url));
        let request = request
            .header("origin", origin)
            .header("access-control-request-method", "GET")
            .header("access-control-request-headers", "authorization");
        request.send().await.unwrap()
    };
    let plain = async |edge: &Edge, origin: &str| {
        let request = Client::new().get(format!("{}/json", edge.url)).header("origin", origin);
        request.send().await.unwrap()
    };
    let allowed = |answer: &Response| {
        let origin = answer.headers().get("access-control-allow-origin");
        origin.map(|origin| origin.to_str().unwrap().to_owned())
    };
    let named = |answer: &Response| {
        answer.headers().keys().any(|name| name.as_str().starts_with("access-control"))
    };
    assert!(!named(&preflight(&closed, "https://app.example").await));
    assert!(!named(&plain(&closed, "https://app.example").await));

    let answer = preflight(&opened, "https://app.example").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(allowed(&answer).as_deref(), Some("https://app.example"));
    let headers = answer.headers()["access-control-allow-headers"].to_str().unwrap();
    assert!(headers.contains("authorization"), "{headers}");
    assert!(!answer.headers().contains_key("access-control-allow-credentials"));
    let answer = plain(&opened, "https://app.example").await;
    assert_eq!(allowed(&answer).as_deref(), Some("https://app.example"));
    for other in ["https://evil.example", "https://app.example.evil.example", "null"] {
        assert_eq!(allowed(&preflight(&opened, other).await), None, "{other}");
        assert_eq!(allowed(&plain(&opened, other).await), None, "{other}");
    }
}
