//! Connections: slow, idle, too many, left, and told to go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::get;
use stedi_server::config::HttpConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Edge, all, becomes_true};
use crate::support::Service;

const GET: &[u8] = b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n";
const CLOSE: &[u8] = b"GET /quick HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
/// The preface of HTTP/2 with an empty SETTINGS frame (RFC 9113, section 3.4).
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

fn quick() -> Router {
    Router::new().route("/quick", get(async || "quick"))
}

/// Set when it is dropped.
struct Dropped(Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_slow_with_a_head_is_cut() {
    let config = HttpConfig { header_seconds: 1, ..HttpConfig::default() };
    let edge = Edge::start(quick(), config).await;
    // A byte at a time keeps nothing open.
    let mut stream = edge.connect().await;
    let started = Instant::now();
    let head =
        b"GET /quick HTTP/1.1\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    for byte in head {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if stream.write_all(&[*byte]).await.is_err() {
            break;
        }
    }
    let cut = started.elapsed();
    assert!(cut > Duration::from_millis(900) && cut < Duration::from_secs(4), "{cut:?}");

    // Nothing at all, and what may become HTTP/2.
    for begin in [&b""[..], &HTTP2[..7], HTTP2] {
        let started = Instant::now();
        edge.exchange(begin).await;
        let cut = started.elapsed();
        // Who speaks HTTP/2 is told first, and given five seconds.
        assert!(cut > Duration::from_millis(900) && cut < Duration::from_secs(9), "{cut:?}");
    }
    assert!(edge.exchange(CLOSE).await.ends_with("quick"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let config = HttpConfig { idle_seconds: 1, ..HttpConfig::default() };
    let slow = get(async || {
        tokio::time::sleep(Duration::from_millis(2500)).await;
        "slow"
    });
    let edge = Edge::start(quick().route("/slow", slow), config).await;
    let started = Instant::now();
    assert!(edge.exchange(GET).await.ends_with("quick"));
    let closed = started.elapsed();
    assert!(closed > Duration::from_millis(900) && closed < Duration::from_secs(4), "{closed:?}");
    assert!(edge.exchange(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.ends_with("slow"));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_connections_than_there_may_be_wait() {
    let config = HttpConfig { connections: 2, ..HttpConfig::default() };
    let edge = Edge::start(quick(), config).await;
    let mut first = edge.connect().await;
    let mut second = edge.connect().await;
    for stream in [&mut first, &mut second] {
        stream.write_all(GET).await.unwrap();
        stream.read_exact(&mut [0; 12]).await.unwrap();
    }
    let mut third = edge.connect().await;
    third.write_all(CLOSE).await.unwrap();
    let answer = tokio::time::timeout(Duration::from_millis(500), third.read_u8()).await;
    assert!(answer.is_err(), "it was not its turn");
    assert!(edge.metrics.text().contains("stedi_http_connections 2\n"));
    drop(first);
    assert!(all(&mut third).await.ends_with("quick"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_asked_for_ends_when_it_goes() {
    let [handler, body] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
    let (handler_end, body_end) = (Arc::clone(&handler), Arc::clone(&body));
    let router = Router::new()
        .route(
            "/handler",
            get(async move || {
                let _end = Dropped(handler_end);
                tokio::time::sleep(Duration::from_secs(60)).await;
            }),
        )
        .route(
            "/body",
            get(async move || {
                let end = Dropped(body_end);
                Body::from_stream(futures::stream::unfold(end, async |end| {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    Some((Ok::<_, std::io::Error>(Bytes::from_static(b"more")), end))
                }))
            }),
        );
    let edge = Edge::start(router, HttpConfig::default()).await;
    for (path, ended) in [("/handler", handler), ("/body", body)] {
        let mut stream = edge.connect().await;
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
            .await
            .unwrap();
        becomes_true("the request has begun", || {
            edge.metrics.text().contains("stedi_http_requests_in_flight 1\n")
        })
        .await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(!ended.load(Ordering::SeqCst), "{path}");
        drop(stream);
        let gone = Instant::now();
        becomes_true("it has ended", || ended.load(Ordering::SeqCst)).await;
        assert!(gone.elapsed() < Duration::from_secs(5), "{path}: {:?}", gone.elapsed());
    }
    let text = edge.metrics.text();
    let gone = r#"stedi_http_requests_total{method="GET",route="/handler",status="499"} 1"#;
    assert!(text.contains(gone), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_nothing_of_an_answer_is_cut() {
    let ended = Arc::new(AtomicBool::new(false));
    let body_end = Arc::clone(&ended);
    let endless = get(async move || {
        let end = Dropped(Arc::clone(&body_end));
        Body::from_stream(futures::stream::unfold(end, async |end| {
            Some((Ok::<_, std::io::Error>(Bytes::from(vec![0; 1 << 16])), end))
        }))
    });
    let config = HttpConfig { write_seconds: 1, ..HttpConfig::default() };
    let edge = Edge::start(Router::new().route("/endless", endless), config).await;
    let mut stream = edge.connect().await;
    stream.write_all(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    becomes_true("the answer is dropped", || ended.swap(false, Ordering::SeqCst)).await;
    drop(stream);
    // HTTP/2 has a window for each answer: the connection still works, its answer does not move.
    let http2 = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let answer = http2.get(format!("{}/endless", edge.url)).send().await.unwrap();
    assert_eq!(answer.version(), reqwest::Version::HTTP_2);
    becomes_true("the answer is dropped", || ended.load(Ordering::SeqCst)).await;
    drop(answer);
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_answers_what_it_has() {
    let slow = get(async || {
        tokio::time::sleep(Duration::from_secs(3)).await;
        "slow"
    });
    let mut edge = Edge::start(quick().route("/slow", slow), HttpConfig::default()).await;
    let mut idle = edge.connect().await;
    idle.write_all(GET).await.unwrap();
    idle.read_exact(&mut [0; 12]).await.unwrap();
    let mut busy = edge.connect().await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    becomes_true("the request has begun", || {
        edge.metrics.text().contains("stedi_http_requests_in_flight 1\n")
    })
    .await;
    let started = Instant::now();
    edge.stop();
    all(&mut idle).await;
    assert!(started.elapsed() < Duration::from_secs(2), "idle ones are closed at once");
    assert!(tokio::net::TcpStream::connect(edge.address).await.is_err(), "no new ones");
    assert!(all(&mut busy).await.ends_with("slow"));
    (&mut edge.task).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

/// A store that hangs: a request that cannot be answered soon, on a thread that cannot be stopped.
#[test]
fn told_to_stop_it_ends_in_time_whatever_hangs() {
    let service = Service::start("");
    let file = service.lake().join("system/lake.json");
    std::fs::remove_file(&file).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&file).status().unwrap().success());
    // Sent before the time is taken.
    let mut asked = std::net::TcpStream::connect(service.address()).unwrap();
    let request = b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    std::io::Write::write_all(&mut asked, request).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let started = Instant::now();
    assert_eq!(service.terminate(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    // It took its five seconds, and was answered.
    assert!(started.elapsed() > Duration::from_secs(3), "{:?}", started.elapsed());
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut asked, &mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
}
