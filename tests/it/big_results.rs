//! Results that are larger than the server's memory: streamed in each format while memory stays
//! where it is, and given up as soon as nobody reads them.
//!
//! `STEDI_TEST_BIG_ROWS=5000000` takes the size that the service is meant for.

use std::time::{Duration, Instant};

use futures::StreamExt;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, Response};
use serde_json::Value;
use stedi_server::auth::Role;
use stedi_server::sample::Sample;

use crate::support::{Service, TestLake};

/// Rows of an ordinary run: hundreds of megabytes, were they collected in an unoptimised build.
const ROWS: u64 = 400_000;
/// The cap of memory, whatever the number of rows: what a server holds anyway, the pool of a
/// statement, and a row group of Parquet.
const CAP: u64 = 450_000_000;
const FORMATS: [(&str, &str); 5] = [
    ("json", "application/json"),
    ("ndjson", "application/x-ndjson"),
    ("csv", "text/csv"),
    ("arrow", "application/vnd.apache.arrow.stream"),
    ("parquet", "application/vnd.apache.parquet"),
];
/// A statement that nobody reads ends within this, generously: an unoptimised build on a machine
/// that is shared.
const IDLE: Duration = Duration::from_secs(20);
/// Others are answered within this while a statement works.
const OTHERS: Duration = Duration::from_secs(2);

struct Big {
    service: Service,
    token: String,
    http: Client,
    _lake: TestLake,
}

impl Big {
    async fn start() -> Self {
        let lake = TestLake::new().await;
        let sample = tempfile::tempdir().unwrap();
        Sample { seed: 1, scale: 0.1 }.write(sample.path()).unwrap();
        lake.load_folder(sample.path()).await;
        lake.promote().await;
        let service = Service::over(&lake, "[limits.roles.analyst]\nseconds = 3600\n");
        let token = service.token(Role::Analyst);
        Self { service, token, http: Client::new(), _lake: lake }
    }

    async fn ask(&self, sql: &str, accept: &str) -> Response {
        let request = self.http.post(format!("{}/v1/sql", self.service.url));
        let request = request.header(ACCEPT, accept).header(CONTENT_TYPE, "text/plain");
        request.bearer_auth(&self.token).body(sql.to_owned()).send().await.unwrap()
    }

    async fn running(&self) -> u64 {
        let request = self.http.get(format!("{}/v1/limits", self.service.url));
        let limits = request.bearer_auth(&self.token).send().await.unwrap();
        limits.json::<Value>().await.unwrap()["running_now"].as_u64().unwrap()
    }

    /// How long it takes until no statement runs.
    async fn idle(&self) -> Duration {
        let since = Instant::now();
        while self.running().await > 0 {
            assert!(since.elapsed() < IDLE, "a statement runs that nobody reads");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        since.elapsed()
    }
}

fn rows() -> u64 {
    std::env::var("STEDI_TEST_BIG_ROWS").map_or(ROWS, |rows| rows.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_does_not_grow_with_the_result() {
    let big = Big::start().await;
    let rows = rows();
    let sql = format!(
        "SELECT a.subject_id, a.timestamp + b.timestamp AS moment, a.serialnumber, a.x, b.y, b.z \
         FROM accelerometer_trusted a CROSS JOIN accelerometer_trusted b LIMIT {rows}"
    );
    for (name, accept) in FORMATS {
        let begun = Instant::now();
        let answer = big.ask(&sql, accept).await;
        assert_eq!(answer.status(), 200);
        // A result that streams has no length that is known before.
        assert_eq!(answer.content_length(), None, "{name}");
        let (mut bytes, mut tail) = (0, Vec::new());
        let mut parts = answer.bytes_stream();
        let mut first = None;
        while let Some(part) = parts.next().await {
            // A connection that is cut is an error here.
            let part = part.unwrap();
            first.get_or_insert_with(|| begun.elapsed());
            bytes += part.len();
            tail.extend_from_slice(&part);
            tail.drain(..tail.len().saturating_sub(64));
        }
        let end = String::from_utf8_lossy(&tail);
        let whole = match name {
            "json" => end.ends_with(&format!("],\"row_count\":{rows}}}\n")),
            "ndjson" => end.ends_with(&format!("\n{{\"end\":{{\"row_count\":{rows}}}}}\n")),
            "csv" => tail.ends_with(b"\n"),
            // The stream's marker of its end: a message of no length.
            "arrow" => tail.ends_with(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
            _ => tail.ends_with(b"PAR1"),
        };
        assert!(whole, "{name} ends with {end:?}");
        assert!(bytes as u64 > rows, "{name}: {bytes} bytes");
        let (took, peak) = (begun.elapsed(), big.service.peak_bytes());
        let first = first.unwrap();
        println!(
            "{name}: {rows} rows, {bytes} bytes in {took:.1?}, first after {first:.1?}, peak memory \
             {} MB",
            peak / 1_000_000
        );
        assert!(peak < CAP, "{name}: peak memory {peak}");
        big.idle().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_ends_when_its_client_hangs_up() {
    let big = Big::start().await;
    let many = "accelerometer_trusted a CROSS JOIN accelerometer_trusted b CROSS JOIN \
                accelerometer_trusted c";
    // One that streams rows, one that works long for its first row, one that sorts before it.
    for (what, sql, streams) in [
        ("streams", format!("SELECT a.x, b.y, c.z FROM {many}"), true),
        ("adds up", format!("SELECT sum(a.x * b.y * c.z) FROM {many}"), false),
        ("sorts", format!("SELECT a.x FROM {many} ORDER BY a.x * b.y * c.z"), false),
    ] {
        let answer = big.ask(&sql, "text/csv");
        match streams {
            true => {
                let mut parts = answer.await.bytes_stream();
                for _ in 0..20 {
                    parts.next().await.unwrap().unwrap();
                }
                assert_eq!(big.running().await, 1, "{what}");
            }
            false => {
                // Dropped, the request closes its connection.
                let waited = tokio::time::timeout(Duration::from_millis(500), answer).await;
                assert!(waited.is_err(), "{what}: it was to take longer");
            }
        }
        let idle = big.idle().await;
        println!("a statement that {what}: idle {idle:.1?} after its client hung up");
    }
    // What nobody reads does not run on, but waits for its reader within its limits.
    let answer = big.ask(&format!("SELECT a.x, b.y, c.z FROM {many}"), "text/csv").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(big.running().await, 1);
    let peak = big.service.peak_bytes();
    assert!(peak < CAP, "peak memory {peak}");
    drop(answer);
    println!(
        "a statement that nobody read: idle {:.1?} after its client hung up",
        big.idle().await
    );
}

/// A statement that works on both cores holds back nobody who asks for something else.
#[tokio::test(flavor = "multi_thread")]
async fn others_are_answered_while_a_statement_works() {
    let big = Big::start().await;
    let sql = "SELECT sum(a.x * b.y * c.z) FROM accelerometer_trusted a CROSS JOIN \
               accelerometer_trusted b CROSS JOIN accelerometer_trusted c";
    let mut works = std::pin::pin!(big.ask(sql, "application/json"));
    let mut slowest = Duration::ZERO;
    let asked = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        for _ in 0..20 {
            let begun = Instant::now();
            let health = big.http.get(format!("{}/healthz", big.service.url));
            assert_eq!(health.send().await.unwrap().status(), 200);
            slowest = slowest.max(begun.elapsed());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        _ = &mut works => panic!("it was to take longer"),
        () = asked => {}
    }
    println!("while a statement works /healthz takes at most {slowest:.1?}");
    assert!(slowest < OTHERS, "/healthz took {slowest:?}");
}
