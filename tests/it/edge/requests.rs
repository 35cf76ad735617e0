//! Requests: too large, too slow, to nowhere, and by which name they are known.

use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::StreamExt;
use reqwest::{Client, Method, Response};
use serde_json::Value;
use stedi_server::config::HttpConfig;
use stedi_server::edge::OwnLimits;
use tokio::io::AsyncWriteExt;

use super::{Edge, all};
use crate::support::{TestLake, TestServer};

/// Reads JSON within the configured bounds.
async fn bounded(Json(value): Json<Value>) -> Json<usize> {
    Json(value.to_string().len())
}

/// Reads as much as comes, for as long as it comes.
async fn unbounded(request: Request) -> Result<String, (StatusCode, String)> {
    let mut stream = request.into_body().into_data_stream();
    let mut bytes = 0;
    while let Some(chunk) = stream.next().await {
        let refused = |error: axum::Error| (StatusCode::BAD_REQUEST, error.to_string());
        bytes += chunk.map_err(refused)?.len();
    }
    Ok(bytes.to_string())
}

async fn slow() -> &'static str {
    tokio::time::sleep(Duration::from_millis(1500)).await;
    "slow"
}

fn router() -> Router {
    Router::new()
        .route("/bounded", post(bounded))
        .route("/own/{table}", post(unbounded))
        .route("/slow", get(slow))
        .route("/slow/own", get(slow))
        .route("/panic", get(async || -> &'static str { panic!("secret-{}", 7) }))
}

const OWN: &[OwnLimits] = &[
    OwnLimits { route: "/own/{table}", body: true, time: true },
    OwnLimits { route: "/slow/own", body: false, time: true },
];

/// The status and `code` of a problem, which names its request.
async fn problem(answer: Response) -> (u16, String) {
    let status = answer.status().as_u16();
    assert_eq!(answer.headers()["content-type"], "application/problem+json", "{status}");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    let length: usize = answer.headers()["content-length"].to_str().unwrap().parse().unwrap();
    let text = answer.text().await.unwrap();
    assert_eq!(text.len(), length);
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(body["status"], status, "{body}");
    assert_eq!(body["request_id"], id, "{body}");
    assert_eq!(body["type"], "about:blank");
    assert!(!body["title"].as_str().unwrap().is_empty());
    assert!(!body["detail"].as_str().unwrap().is_empty());
    (status, body["code"].as_str().unwrap().to_owned())
}

fn said(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_have_a_size() {
    let config = HttpConfig { header_bytes: 8192, headers: 20, ..HttpConfig::default() };
    let edge = Edge::start(router(), config).await;
    let http = Client::new();
    let with = |bytes: usize| http.get(format!("{}/slow", edge.url)).header("x", "a".repeat(bytes));
    assert_eq!(with(7000).send().await.unwrap().status(), 200);
    let answer = with(9000).send().await.unwrap();
    assert_eq!(problem(answer).await, said(431, "headers_too_large"));
    let many = (0..30).fold(http.get(format!("{}/slow", edge.url)), |request, number| {
        request.header(format!("x-{number}"), "1")
    });
    assert_eq!(problem(many.send().await.unwrap()).await, said(431, "headers_too_large"));
    // So large that it is not even read: no body, but still the status.
    for head in [format!("X: {}", "a".repeat(1 << 20)), "X: a\r\n".repeat(200)] {
        let head = format!("GET /slow HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n");
        let answer = edge.exchange(head.as_bytes()).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    let long = http.get(format!("{}/{}", edge.url, "a".repeat(9000))).send().await.unwrap();
    assert_eq!(problem(long).await, said(431, "headers_too_large"));
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_have_a_size_where_the_handler_does_not_bound_them() {
    let config = HttpConfig { body_bytes: 4 << 20, ..HttpConfig::default() };
    let edge = Edge::with(router(), config, OWN).await;
    let http = Client::new();
    let send = |path: &str, bytes: usize, chunked: bool| {
        let text = format!("\"{}\"", "a".repeat(bytes - 2));
        let request =
            http.post(format!("{}{path}", edge.url)).header("content-type", "application/json");
        let chunks: Vec<_> = text.as_bytes().chunks(1 << 16).map(<[u8]>::to_vec).collect();
        match chunked {
            false => request.body(text),
            true => request.body(reqwest::Body::wrap_stream(futures::stream::iter(
                chunks.into_iter().map(Ok::<_, std::io::Error>),
            ))),
        }
        .send()
    };
    for chunked in [false, true] {
        // More than the two megabytes at which the router would stop by itself.
        assert_eq!(send("/bounded", 4 << 20, chunked).await.unwrap().status(), 200);
        // One byte too many, and so many that the answer is there before all is sent.
        for bytes in [(4 << 20) + 1, 15 << 20] {
            let answer = send("/bounded", bytes, chunked).await.unwrap();
            assert_eq!(problem(answer).await, said(413, "body_too_large"), "chunked: {chunked}");
        }
        let answer = send("/own/x", 9 << 20, chunked).await.unwrap();
        assert_eq!(answer.text().await.unwrap(), (9 << 20).to_string());
    }
    // Who asks before sending is told before sending.
    let head = b"POST /bounded HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                 Content-Length: 9999999\r\nExpect: 100-continue\r\n\r\n";
    let started = Instant::now();
    let answer = edge.exchange(head).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    // Sooner than it waits for a body.
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stops_coming_and_a_handler_that_does_not_end() {
    let config = HttpConfig { body_seconds: 1, request_seconds: 1, ..HttpConfig::default() };
    let edge = Edge::with(router(), config, OWN).await;
    for path in ["/bounded", "/own/x"] {
        let mut stream = edge.connect().await;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
             Content-Length: 100\r\n\r\n\"abc"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let started = Instant::now();
        let answer = all(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{path}: {answer}");
        assert!(answer.contains(r#""code":"body_timeout""#), "{answer}");
        assert!(started.elapsed() < Duration::from_secs(5));
    }
    let answer = reqwest::get(format!("{}/slow", edge.url)).await.unwrap();
    assert_eq!(answer.headers()["retry-after"], "10");
    assert_eq!(problem(answer).await, said(503, "timeout"));
    // Where the handler bounds its time, the edge does not.
    let answer = reqwest::get(format!("{}/slow/own", edge.url)).await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "slow");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_error_is_a_problem() {
    let edge = Edge::start(router(), HttpConfig::default()).await;
    let http = Client::new();
    let post = |body: &'static str, kind: &'static str| {
        let url = format!("{}/bounded", edge.url);
        http.post(url).header("content-type", kind).body(body).send()
    };
    let json = "application/json";
    assert_eq!(problem(post("{", json).await.unwrap()).await, said(400, "malformed"));
    let wrong = post("1", "text/plain").await.unwrap();
    assert_eq!(problem(wrong).await, said(415, "unsupported_media_type"));
    let nowhere = http.get(format!("{}/nowhere", edge.url)).send().await.unwrap();
    assert_eq!(problem(nowhere).await, said(404, "not_found"));
    let answer = http.get(format!("{}/bounded", edge.url)).send().await.unwrap();
    assert_eq!(answer.headers()["allow"], "POST");
    assert_eq!(problem(answer).await, said(405, "method_not_allowed"));
    let answer = http.get(format!("{}/panic", edge.url)).send().await.unwrap();
    assert_eq!(problem(answer).await, said(500, "internal"));
    let head = http.head(format!("{}/nowhere", edge.url)).send().await.unwrap();
    assert_eq!((head.status().as_u16(), head.text().await.unwrap()), (404, String::new()));
    // What is not HTTP.
    let answer = edge.exchange(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_behind_the_edge() {
    let lake = TestLake::new().await;
    let server = TestServer::start(&lake.config).await;
    let http = Client::new();
    let send = |method: Method, path: &str| http.request(method, format!("{}{path}", server.url));
    let answer = send(Method::DELETE, "/v1/tables").send().await.unwrap();
    assert_eq!(answer.headers()["allow"], "GET,HEAD");
    assert_eq!(problem(answer).await, said(405, "method_not_allowed"));
    let answer = send(Method::GET, "/v1/nowhere").send().await.unwrap();
    assert_eq!(problem(answer).await, said(404, "not_found"));
    let answer = send(Method::GET, "/v1/tables").send().await.unwrap();
    assert_eq!(problem(answer).await, said(401, "token_missing"));
    let answer = send(Method::GET, "/healthz").send().await.unwrap();
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    assert_eq!(answer.headers()["referrer-policy"], "no-referrer");

    let id = async |given: &str| {
        let answer = send(Method::GET, "/healthz").header("x-request-id", given);
        let answer = answer.send().await.unwrap();
        answer.headers()["x-request-id"].to_str().unwrap().to_owned()
    };
    assert_eq!(id("job-7").await, "job-7");
    for replaced in ["a b", "<script>", &"a".repeat(65)] {
        assert_eq!(id(replaced).await.len(), 36, "{replaced}");
    }
}
