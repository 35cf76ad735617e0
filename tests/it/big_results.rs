//! Results that are far larger than the memory they may take, in each format, read as they come and
//! thrown away; and how soon a server is idle again when nobody reads on.
//!
//! The figures are printed. `STEDI_TEST_BIG_ROWS` sets the rows, `STEDI_TEST_SERVER` another server
//! than the one that was built with the tests:
//!
//! ```sh
//! STEDI_TEST_BIG_ROWS=5000000 STEDI_TEST_SERVER=$PWD/target/release/stedi-server \
//!     cargo test --profile suite --workspace -- big_results --nocapture
//! ```

use std::time::{Duration, Instant};

use deltalake::arrow::buffer::Buffer;
use deltalake::arrow::ipc::reader::StreamDecoder;
use deltalake::datafusion::parquet::file::metadata::ParquetMetaDataReader;
use stedi_server::auth::Role;

use crate::support::{Chunked, Service};

/// The media type of a format, and what shows that a result in it is whole.
type Format<'a> = (&'a str, &'a dyn Fn(&Seen));

/// Rows of a result, where the environment says nothing.
const ROWS: u64 = 300_000;
/// Bytes of a result at least: more than the memory that it may take.
const RESULT_BYTES: u64 = 200_000_000;
/// What a server may hold besides what it holds when idle, whatever the number of rows: a few batches
/// of 8,192 rows, plain and encoded, and a row group.
const PEAK_BYTES: u64 = 150_000_000;
/// Bytes of the end of a result that are looked at.
const TAIL_BYTES: usize = 256 * 1024;

const NDJSON: &str = "application/x-ndjson";
const ARROW: &str = "application/vnd.apache.arrow.stream";

/// 10^`digits` numbers from 0, as the column `i` of `numbers`.
fn numbers(digits: u32) -> String {
    let place = |at: u32| format!("d{at}.d * {}", 10_u64.pow(at));
    let sum = (0..digits).map(place).collect::<Vec<_>>().join(" + ");
    let from = (0..digits).map(|at| format!("d AS d{at}")).collect::<Vec<_>>().join(", ");
    format!(
        "WITH d(d) AS (VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)), \
         numbers AS (SELECT {sum} AS i FROM {from})"
    )
}

/// So many rows of a number, a double, a number that is sometimes missing, and a long text.
fn statement(rows: u64) -> String {
    let text = (RESULT_BYTES / rows).max(40);
    format!(
        "{} SELECT i, i * 0.25 AS quarter, CASE WHEN i % 7 > 0 THEN i END AS mostly, \
         rpad('row ' || i || ' ', {text}, 'measured ') AS text FROM numbers LIMIT {rows}",
        numbers(rows.ilog10() + 1)
    )
}

fn rows() -> u64 {
    std::env::var("STEDI_TEST_BIG_ROWS").map_or(ROWS, |rows| rows.parse().unwrap())
}

/// What was seen of a result whose bytes are gone.
#[derive(Default)]
struct Seen {
    bytes: u64,
    lines: u64,
    /// Rows of its Arrow batches.
    batches: u64,
    /// Its last bytes.
    tail: Vec<u8>,
}

impl Seen {
    fn see(&mut self, chunk: &[u8]) {
        self.bytes += chunk.len() as u64;
        self.lines += chunk.iter().filter(|&&byte| byte == b'\n').count() as u64;
        self.tail.extend_from_slice(chunk);
        let over = self.tail.len().saturating_sub(TAIL_BYTES);
        self.tail.drain(..over);
    }

    fn ends_with(&self, end: &str) -> bool {
        self.tail.ends_with(end.as_bytes())
    }

    /// Rows of the Parquet file whose footer is its end.
    fn parquet_rows(&self) -> i64 {
        let (rest, magic) = self.tail.split_at(self.tail.len() - 4);
        assert_eq!(magic, b"PAR1");
        let (rest, length) = rest.split_at(rest.len() - 4);
        let length = u32::from_le_bytes(length.try_into().unwrap()) as usize;
        let footer = &rest[rest.len() - length..];
        ParquetMetaDataReader::decode_metadata(footer).unwrap().file_metadata().num_rows()
    }
}

/// Reads a result to its end, which must say that it is whole.
async fn read(service: &Service, token: &str, format: &str, sql: &str) -> Seen {
    let mut answer = Chunked::sql(service.address(), token, format, sql).await;
    assert_eq!(answer.status, 200, "{format}");
    assert_eq!(answer.headers["trailer"], "stedi-outcome");
    let (mut seen, mut decoder) = (Seen::default(), StreamDecoder::new());
    loop {
        let chunk = match answer.next().await {
            Ok(chunk) => chunk,
            Err(trailers) => {
                assert_eq!(trailers["stedi-outcome"], "ok", "{format}");
                break;
            }
        };
        seen.see(&chunk);
        let mut buffer = Buffer::from(chunk);
        while format == ARROW && !buffer.is_empty() {
            let batch = decoder.decode(&mut buffer).unwrap();
            seen.batches += batch.map_or(0, |batch| batch.num_rows() as u64);
        }
    }
    if format == ARROW {
        decoder.finish().unwrap();
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn are_streamed_in_memory_that_does_not_grow_with_them() {
    let service = Service::start("[limits.roles.analyst]\nseconds = 3600");
    let token = service.token(Role::Analyst);
    let (rows, idle) = (rows(), service.peak_memory());
    println!("{rows} rows; idle {} MB", idle / 1_000_000);
    let whole: [Format; 5] = [
        ("application/json", &|seen| {
            assert!(seen.ends_with(&format!("],\"row_count\":{rows}}}\n")))
        }),
        (NDJSON, &|seen| {
            assert!(seen.ends_with(&format!("}}\n{{\"end\":{{\"row_count\":{rows}}}}}\n")));
            assert_eq!(seen.lines, rows + 1);
        }),
        ("text/csv", &|seen| assert_eq!(seen.lines, rows + 1)),
        (ARROW, &|seen| {
            // The marker that ends a stream (Arrow's columnar format, "IPC Streaming Format").
            assert!(seen.tail.ends_with(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]));
            assert_eq!(seen.batches, rows);
        }),
        ("application/vnd.apache.parquet", &|seen| assert_eq!(seen.parquet_rows() as u64, rows)),
    ];
    for (format, whole) in whole {
        service.forget_peak_memory();
        let started = Instant::now();
        let seen = read(&service, &token, format, &statement(rows)).await;
        let (took, peak) = (started.elapsed(), service.peak_memory());
        println!(
            "{format}: {} MB in {took:.1?}, peak memory {} MB",
            seen.bytes / 1_000_000,
            peak / 1_000_000
        );
        whole(&seen);
        assert!(peak - idle < PEAK_BYTES, "{format}: {peak} bytes, idle {idle}");
    }
}

/// A server that is busy still answers.
fn client() -> reqwest::Client {
    reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap()
}

/// Statements that run, as `/v1/limits` says.
async fn running(http: &reqwest::Client, service: &Service, token: &str) -> u64 {
    let request = http.get(format!("{}/v1/limits", service.url)).bearer_auth(token);
    let limits: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
    limits["running_now"].as_u64().unwrap()
}

/// Waits until so many statements run, for at most half a minute; how long it took.
async fn runs(http: &reqwest::Client, service: &Service, token: &str, count: u64) -> Duration {
    let started = Instant::now();
    while running(http, service, token).await != count {
        assert!(started.elapsed() < Duration::from_secs(30), "{count} statements do not run");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    started.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn end_when_nobody_reads_on() {
    let service = Service::start("");
    let (http, token) = (client(), service.token(Role::Analyst));
    // 10^12 rows: it does not end by itself while the test runs.
    let rows = format!("{} SELECT * FROM numbers", numbers(12));
    for format in ["application/json", NDJSON, "text/csv", ARROW, "application/vnd.apache.parquet"]
    {
        let mut answer = Chunked::sql(service.address(), &token, format, &rows).await;
        for _ in 0..3 {
            answer.next().await.unwrap();
        }
        assert_eq!(running(&http, &service, &token).await, 1, "{format}");
        drop(answer);
        println!("{format}: idle after {:.1?}", runs(&http, &service, &token, 0).await);
    }
}

/// The rows of an aggregate come at the end only, and nothing is read while it works.
#[tokio::test(flavor = "multi_thread")]
async fn end_when_nobody_waits_for_their_first_row() {
    let service = Service::start("");
    let (http, token) = (client(), service.token(Role::Analyst));
    let from = numbers(12);
    for sql in [
        format!("{from} SELECT sum(i % 3) FROM numbers"),
        format!("{from} SELECT count(*) FROM numbers WHERE i < 0"),
        format!("{from} SELECT i % 7 AS j, count(*) FROM numbers GROUP BY j ORDER BY j"),
        format!("{from} SELECT DISTINCT i % 5 FROM numbers ORDER BY 1 LIMIT 3"),
        format!("{from} SELECT max(i) OVER (PARTITION BY 0) FROM numbers WHERE i < 0"),
    ] {
        let (address, asked_by) = (service.address().to_owned(), token.clone());
        let text = sql.clone();
        let asked = tokio::spawn(async move {
            Chunked::sql(&address, &asked_by, NDJSON, &text).await;
        });
        runs(&http, &service, &token, 1).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(running(&http, &service, &token).await, 1, "{sql}");
        asked.abort();
        let select = sql.rsplit(") SELECT").next().unwrap();
        println!("{select}: idle after {:.1?}", runs(&http, &service, &token, 0).await);
    }
}
