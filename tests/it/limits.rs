//! `[limits]`: what a statement may take, by role.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stedi_server::auth::Role;
use stedi_server::config::{Config, LimitsConfig, RoleLimitsConfig};
use stedi_server::sample::Sample;

use crate::support::{DIGITS, TestLake, TestServer, answered, endless, many};

/// A server on which the analyst's limits are the test's.
async fn limited(
    all: LimitsConfig,
    analyst: impl FnOnce(&mut RoleLimitsConfig),
) -> (TestLake, TestServer) {
    let lake = TestLake::new().await;
    let mut own = RoleLimitsConfig::default();
    analyst(&mut own);
    let limits = LimitsConfig { roles: [("analyst".to_owned(), own)].into(), ..all };
    let server = TestServer::start(&Config { limits, ..lake.config.clone() }).await;
    (lake, server)
}

async fn refused(server: &TestServer, sql: &str) -> (u16, String) {
    server.sql(Role::Analyst, sql).await.problem()
}

#[tokio::test(flavor = "multi_thread")]
async fn text_rows_bytes_and_time_have_their_own_answers() {
    let (_lake, server) = limited(LimitsConfig::default(), |own| {
        own.statement_bytes = 2000;
        own.nesting = 10;
        own.chain = 20;
        own.seconds = 5;
        own.rows = 1000;
        own.bytes = 20_000;
    })
    .await;
    let parens = |levels| format!("SELECT {}1{}", "(".repeat(levels), ")".repeat(levels));
    let chain = |operators| format!("SELECT 1{}", " + 1".repeat(operators));
    for (sql, expected) in [
        (format!("SELECT '{}'", "x".repeat(1991)), None),
        (format!("SELECT '{}'", "x".repeat(1992)), Some((413, "statement_too_long"))),
        (parens(10), None),
        (parens(11), Some((422, "statement_too_deep"))),
        (chain(20), None),
        (chain(21), Some((422, "statement_too_deep"))),
        (format!("SELECT count(*) FROM ({})", many(100_000)), None),
        (format!("SELECT n FROM ({})", many(1000)), None),
        (format!("SELECT n FROM ({})", many(1001)), Some((422, "too_many_rows"))),
        (format!("SELECT repeat(s, 50) FROM ({})", many(10)), None),
        (format!("SELECT repeat(s, 50) FROM ({})", many(20)), Some((422, "too_many_bytes"))),
    ] {
        let answer = server.sql(Role::Analyst, &sql).await;
        match expected {
            None => assert_eq!(answer.status, 200, "{sql}: {}", answer.text()),
            Some((status, code)) => {
                assert_eq!(answer.problem(), (status, code.to_owned()), "{sql}")
            }
        }
    }
    let began = Instant::now();
    assert_eq!(refused(&server, &endless()).await, (408, "statement_timeout".to_owned()));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    server.until_going_on((0, 0)).await;

    let (_, published) = server.json("/v1/limits", Some(&server.token(Role::Analyst))).await;
    let expected = json!({
        "statement_bytes": 2000, "nesting": 10, "chain": 20, "seconds": 5, "async_seconds": 3600,
        "rows": 1000, "bytes": 20_000, "memory_bytes": 256 << 20, "statements_at_once": 8,
        "queued": 64, "queue_seconds": 10, "running_now": 0, "queued_now": 0,
    });
    assert_eq!(published, expected);
    // Those of another role are others.
    let (_, published) = server.json("/v1/limits", Some(&server.token(Role::Trainer))).await;
    assert_eq!(published["rows"], 100_000_000);
    assert_eq!(server.sql(Role::Trainer, &parens(11)).await.status, 200);
    let (status, _) = server.problem("/v1/limits", Some(&server.token(Role::Ingest))).await;
    assert_eq!(status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_a_share_beyond_which_sorts_spill() {
    let (lake, server) = limited(LimitsConfig::default(), |own| own.memory_bytes = 128 << 20).await;
    // About 75 MB of texts to sort, several times as much for the table of a join.
    let of = |times| format!("SELECT n, repeat(s, {times}) || n AS t FROM ({})", many(300_000));
    let (wide, wider) = (of(10), of(60));
    let sort = format!(
        "SELECT max(r) FROM (SELECT row_number() OVER (ORDER BY t DESC) AS r FROM ({wide}))"
    );
    let answer = server.sql(Role::Analyst, &sort).await;
    assert_eq!(answer.rows(), json!([[300_000]]));
    let explained = server.sql(Role::Analyst, &format!("EXPLAIN ANALYZE {sort}")).await;
    let mut spills = explained.text().split("spill_count=").skip(1);
    assert!(spills.any(|rest| !rest.starts_with('0')), "nothing was spilled");
    let join = format!("SELECT count(*) FROM ({wider}) a JOIN ({wider}) b ON a.t = b.t");
    let answer = server.sql(Role::Analyst, &join).await;
    assert_eq!(answer.problem(), (422, "out_of_memory".to_owned()));
    assert!(answer.detail().contains(&(128 << 20).to_string()), "{}", answer.detail());
    // Nothing is kept of either.
    server.until_going_on((0, 0)).await;
    let spill = lake.config.state_dir.join("spill");
    fn files(folder: &std::path::Path) -> usize {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let count = |path: std::path::PathBuf| if path.is_dir() { files(&path) } else { 1 };
        entries.map(|entry| count(entry.path())).sum()
    }
    // Files go with the last task of their plan.
    let began = Instant::now();
    loop {
        // But for the lock that says whose they are: the server's, and the test's own.
        let left = files(&spill) - 2;
        if left == 0 {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{left} spilled files are left");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(server.rows(Role::Analyst, "SELECT 1").await, json!([[1]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn turns_are_limited_by_role_and_in_all() {
    let all = LimitsConfig {
        statements_at_once: 3,
        queued: 1,
        queue_seconds: 5,
        ..LimitsConfig::default()
    };
    let (_lake, server) = limited(all, |own| own.statements_at_once = 2).await;
    // An answer that nobody reads holds its turn.
    let unread = format!("SELECT n, repeat(s, 20) FROM ({})", many(100_000));
    let hold = async |role| {
        let answer = server.statement(role, &unread).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer
    };
    let (first, second) = (hold(Role::Analyst).await, hold(Role::Analyst).await);
    assert_eq!(server.going_on().await, (2, 0));
    // A third analyst waits, a fourth is turned away, others are not held back.
    let third = answered(server.statement(Role::Analyst, "SELECT 1"));
    let (third, ()) = tokio::join!(third, async {
        server.until_going_on((2, 1)).await;
        let answer = server.sql(Role::Analyst, "SELECT 1").await;
        assert_eq!(answer.problem(), (429, "too_many_statements".to_owned()));
        assert_eq!(answer.header("retry-after"), "1");
        assert_eq!(server.rows(Role::Trainer, "SELECT 1").await, json!([[1]]));
    });
    assert_eq!(third.problem(), (429, "no_turn".to_owned()));
    assert_eq!(third.header("retry-after"), "1");
    // All turns are taken: another role waits too.
    let more = hold(Role::Admin).await;
    assert_eq!(server.going_on().await, (3, 0));
    assert_eq!(server.sql(Role::Trainer, "SELECT 1").await.problem(), (429, "no_turn".to_owned()));
    // One that waits gets the turn of one that hangs up.
    let waits = answered(server.statement(Role::Analyst, "SELECT 7"));
    let (waits, ()) = tokio::join!(waits, async {
        server.until_going_on((3, 1)).await;
        drop(first);
    });
    assert_eq!(waits.rows(), json!([[7]]));
    drop((second, more));
    assert!(server.until_going_on((0, 0)).await < Duration::from_secs(15));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_hangs_up_gives_the_turn_back() {
    let (_lake, server) = limited(LimitsConfig::default(), |_| {}).await;
    let slow_rows = format!(
        "WITH {DIGITS} SELECT a.n, repeat('x', 500) FROM digits a, digits b, digits c, digits d, \
         digits e, digits f, digits g"
    );
    let sorted = format!("SELECT n FROM ({}) ORDER BY sqrt(n + 1) DESC", many(10_000_000));
    for sql in [endless(), slow_rows, sorted] {
        let request = tokio::spawn(server.statement(Role::Analyst, &sql).send());
        server.until_going_on((1, 0)).await;
        // Planned by then, and running.
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(server.going_on().await, (1, 0), "{sql}");
        match request.is_finished() {
            // Its answer has begun and is not read.
            true => drop(request.await.unwrap().unwrap()),
            false => request.abort(),
        }
        let idle = server.until_going_on((0, 0)).await;
        // Far less than it would take, and than its time limit.
        assert!(idle < Duration::from_secs(20), "{idle:?} until idle: {sql}");
    }
}

/// The bytes of an answer as they are on the wire, up to the end of the connection.
fn wire(server: &TestServer, accept: &str, sql: &str, header: &str) -> Vec<u8> {
    let address = server.url.strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(address).unwrap();
    let token = server.token(Role::Analyst);
    let request = format!(
        "POST /v1/sql HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
         content-type: text/plain\r\naccept: {accept}\r\nconnection: close\r\n{header}\
         content-length: {}\r\n\r\n{sql}",
        sql.len()
    );
    socket.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    // A cut connection may be reset.
    let _ = socket.read_to_end(&mut bytes);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_break_behind_the_first_bytes_shows() {
    let (_lake, server) = limited(LimitsConfig::default(), |own| own.bytes = 6_000_000).await;
    let rows = |count| {
        format!("SELECT n, repeat(s, 2) || md5(CAST(n AS VARCHAR)) AS t FROM ({})", many(count))
    };
    // The last chunk of a whole answer is empty; what comes before may be trailers.
    let whole = |bytes: &[u8]| {
        bytes.ends_with(b"0\r\n\r\n") || bytes.ends_with(b"stedi-outcome: ok\r\n\r\n")
    };
    for accept in [
        "application/json",
        "application/x-ndjson",
        "text/csv",
        "application/vnd.apache.arrow.stream",
        "application/vnd.apache.parquet",
    ] {
        // A Parquet file leaves by row groups, and compresses.
        let count = if accept.contains("parquet") { 300_000 } else { 100_000 };
        let (short, long) = (rows(1000), rows(count));
        let good = wire(&server, accept, &short, "te: trailers\r\n");
        assert!(good.starts_with(b"HTTP/1.1 200"), "{accept}");
        let good_chunked =
            String::from_utf8_lossy(&good).to_lowercase().contains("transfer-encoding: chunked");
        assert!(!good_chunked || whole(&good), "{accept}");
        let broken = wire(&server, accept, &long, "te: trailers\r\n");
        let text = String::from_utf8_lossy(&broken);
        assert!(broken.starts_with(b"HTTP/1.1 200"), "{accept}: {text}");
        match accept {
            "application/x-ndjson" => {
                let line = text.lines().rev().find(|line| line.starts_with('{')).unwrap();
                let line: Value = serde_json::from_str(line).unwrap();
                assert_eq!(line["error"]["code"], "too_many_bytes", "{line}");
                assert_eq!(line["error"]["status"], 422);
                assert!(text.ends_with("stedi-outcome: too_many_bytes\r\n\r\n"), "{accept}");
            }
            _ => {
                assert!(!whole(&broken), "{accept}");
                assert!(!text.contains("too_many_bytes"), "{accept}");
                // A client that knows HTTP gets an error, and no whole body.
                let request = server.statement(Role::Analyst, &long).header("accept", accept);
                let answer = request.send().await.unwrap();
                assert_eq!(answer.status(), 200);
                let read = answer.bytes().await;
                assert!(read.is_err(), "{accept}: {} bytes", read.unwrap().len());
            }
        }
        server.until_going_on((0, 0)).await;
    }
}

/// A join that keeps one side in memory reads it once, also where it is too large: a table's files
/// are given once in a plan, and the second time fewer rows would come.
#[tokio::test(flavor = "multi_thread")]
async fn a_join_that_is_too_large_is_refused_and_never_short_of_rows() {
    let lake = TestLake::new().await;
    let sample = tempfile::tempdir().unwrap();
    for seed in 1..=4 {
        Sample { seed, scale: 0.02 }.write(sample.path()).unwrap();
        lake.load_folder(sample.path()).await;
    }
    let sql = "SELECT count(*), max(c.customername || c.email || c.phone || c.birthday) \
               FROM customer_landing c JOIN accelerometer_landing a \
               ON c.lastupdatedate > a.\"timestamp\"";
    let (mut whole, mut refused) = (None, 0);
    for kib in [100_000, 24, 18, 16, 12] {
        let own = RoleLimitsConfig { memory_bytes: kib << 10, ..RoleLimitsConfig::default() };
        let roles = [("admin".to_owned(), own)].into();
        let limits = LimitsConfig { roles, ..LimitsConfig::default() };
        let server = TestServer::start(&Config { limits, ..lake.config.clone() }).await;
        let answer = server.sql(Role::Admin, sql).await;
        if answer.status == 200 {
            assert_eq!(answer.rows(), *whole.get_or_insert_with(|| answer.rows()), "{kib} KiB");
        } else {
            assert_eq!(answer.problem(), (422, "out_of_memory".to_owned()), "{kib} KiB");
            refused += 1;
        }
    }
    assert!(whole.is_some() && refused > 0, "{whole:?}, {refused} refused");
}
