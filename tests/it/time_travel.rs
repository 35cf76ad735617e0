//! `VERSION AS OF` and `TIMESTAMP AS OF`, and the one version that a statement sees of a table.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stedi_server::app::App;
use stedi_server::auth::Role;
use stedi_server::config::{Config, LakeConfig};

use crate::support::{TestLake, TestServer};

const STEPS: &str = "step_trainer_landing";

fn step(number: u64) -> String {
    format!(
        "{{\"sensorReadingTime\":{},\"serialNumber\":\"d\",\"distanceFromObject\":1}}",
        number + 1
    )
}

/// A lake whose step trainer table has as many rows as its version says, and the commits' times.
async fn versions(count: u64) -> (TestLake, TestServer, Vec<i64>) {
    let lake = TestLake::new().await;
    for version in 1..=count {
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert_eq!(lake.load(STEPS, step(version)).await.version, version);
    }
    let table = lake.app.lake.table("landing", STEPS).await.unwrap().unwrap();
    let times: Vec<i64> = table.commits().await.unwrap().iter().map(|it| it.millis).collect();
    assert!(times.is_sorted() && times.len() as u64 == count + 1);
    let server = TestServer::start(&lake.config).await;
    (lake, server, times)
}

fn rfc3339(millis: i64) -> String {
    // Without a date library: SQL makes the text in the tests that need one.
    millis.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_reference_has_its_version() {
    let (_lake, server, times) = versions(3).await;
    let at2 = rfc3339(times[2]);
    for (sql, expected) in [
        (format!("SELECT count(*) FROM {STEPS}"), json!([[3]])),
        (format!("SELECT count(*) FROM {STEPS} VERSION AS OF 0"), json!([[0]])),
        (format!("SELECT count(*) FROM {STEPS} VERSION AS OF 2"), json!([[2]])),
        (format!("SELECT count(*) FROM {STEPS} version as of 3"), json!([[3]])),
        (format!("SELECT count(*) FROM {STEPS} TIMESTAMP AS OF {at2}"), json!([[2]])),
        (format!("SELECT count(s.serialnumber) FROM {STEPS} VERSION AS OF 1 AS s"), json!([[1]])),
        (format!("SELECT count(s.serialnumber) FROM {STEPS} VERSION AS OF 1 s"), json!([[1]])),
        (format!("SELECT count({STEPS}.serialnumber) FROM {STEPS} VERSION AS OF 1"), json!([[1]])),
        (format!("SELECT count(*) FROM landing.{STEPS} VERSION AS OF 2"), json!([[2]])),
        (format!("SELECT count(*) FROM stedi.landing.{STEPS} VERSION AS OF 2"), json!([[2]])),
        (format!("SELECT count(*) FROM \"{STEPS}\" VERSION AS OF 2"), json!([[2]])),
        (format!("SELECT count(*) FROM \"landing\".\"{STEPS}\" VERSION AS OF 2"), json!([[2]])),
        ("SELECT count(*) FROM Step_Trainer_Landing VERSION AS OF 2".to_owned(), json!([[2]])),
        (
            format!(
                "SELECT count(a.serialnumber), count(b.serialnumber) FROM {STEPS} VERSION AS OF 3 a \
                 LEFT JOIN {STEPS} VERSION AS OF 1 b ON a.sensorreadingtime = b.sensorreadingtime"
            ),
            json!([[3, 1]]),
        ),
        (
            format!("SELECT * FROM (SELECT count(*) FROM {STEPS} VERSION AS OF 1) AS s"),
            json!([[1]]),
        ),
        (
            format!(
                "SELECT count(*) FROM {STEPS} WHERE sensorreadingtime NOT IN \
                 (SELECT sensorreadingtime FROM {STEPS} VERSION AS OF 1)"
            ),
            json!([[2]]),
        ),
        (format!("SELECT (SELECT count(*) FROM {STEPS} VERSION AS OF 1) + 40"), json!([[41]])),
        (
            format!(
                "WITH w AS (SELECT * FROM {STEPS} VERSION AS OF 2) SELECT count(*) FROM w, w v"
            ),
            json!([[4]]),
        ),
        // A WITH query that is called as the table it reads.
        (
            format!(
                "WITH {STEPS} AS (SELECT * FROM {STEPS} VERSION AS OF 2) SELECT count(*) FROM {STEPS}"
            ),
            json!([[2]]),
        ),
        (
            format!(
                "SELECT count(*) FROM {STEPS} VERSION AS OF 1 UNION ALL \
                 SELECT count(*) FROM {STEPS} VERSION AS OF 2 UNION ALL \
                 SELECT count(*) FROM {STEPS} ORDER BY 1"
            ),
            json!([[1], [2], [3]]),
        ),
    ] {
        let answer = server.sql(Role::Admin, &sql).await;
        assert_eq!(answer.status, 200, "{sql}: {}", answer.text());
        assert_eq!(answer.rows(), expected, "{sql}");
    }
    for (sql, parameters, expected) in [
        ("VERSION AS OF $1", json!([1]), 1),
        ("VERSION AS OF ?", json!([2]), 2),
        ("TIMESTAMP AS OF $1", json!([times[2]]), 2),
        ("TIMESTAMP AS OF $1", json!(["9999-01-01"]), -1),
        ("TIMESTAMP AS OF $1", json!(["2020-01-01T00:00:00Z"]), -1),
        ("VERSION AS OF $1", json!(["1"]), -1),
        ("VERSION AS OF $1", json!([1.5]), -1),
        ("VERSION AS OF $1", json!([-1]), -1),
        ("VERSION AS OF $1", json!([null]), -1),
        ("VERSION AS OF $1", json!([[1]]), -1),
        ("TIMESTAMP AS OF $1", json!([true]), -1),
    ] {
        let sql = format!("SELECT count(*) FROM {STEPS} {sql}");
        let answer = server.bound(Role::Admin, &sql, parameters.clone()).await;
        match expected {
            -1 => assert_eq!(answer.problem(), (422, "no_such_version".to_owned()), "{parameters}"),
            rows => assert_eq!(answer.rows(), json!([[rows]]), "{sql} {parameters}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_means_the_newest_version_then() {
    let (_lake, server, times) = versions(3).await;
    let count = async |moment: String| {
        let sql = format!("SELECT count(*) FROM {STEPS} TIMESTAMP AS OF {moment}");
        let answer = server.sql(Role::Admin, &sql).await;
        match answer.status {
            200 => answer.rows()[0][0].as_i64().unwrap(),
            _ => {
                assert_eq!(answer.problem(), (422, "no_such_version".to_owned()), "{moment}");
                -1
            }
        }
    };
    for (version, time) in times.iter().enumerate() {
        let version = version as i64;
        assert_eq!(count(time.to_string()).await, version);
        assert_eq!(count((time - 1).to_string()).await, version - 1, "just before {version}");
        // As a text, in several zones of time.
        let text = format!(
            "SELECT to_char(to_timestamp_millis({time}), '%Y-%m-%dT%H:%M:%S%.3f'), \
             to_char(to_timestamp_millis({time} + 7200000), '%Y-%m-%dT%H:%M:%S%.3f')"
        );
        let texts = server.rows(Role::Admin, &text).await;
        let (utc, east) = (texts[0][0].as_str().unwrap(), texts[0][1].as_str().unwrap());
        for text in [
            format!("'{utc}Z'"),
            format!("'{utc}'"),
            format!("'{}'", utc.replace('T', " ")),
            format!("'{east}+02:00'"),
            format!("TIMESTAMP '{utc}'"),
        ] {
            assert_eq!(count(text.clone()).await, version, "{text}");
        }
    }
    for none in ["0", "-1", "'1970-01-01'", "'2020-01-01'", "DATE '2020-01-01'", "99999999999999"] {
        assert_eq!(count(none.to_owned()).await, -1, "{none}");
    }
    for none in ["'tomorrow'", "''", "now()", "1 + 1", "NULL", "true", "(SELECT 1)", "x"] {
        let sql = format!("SELECT count(*) FROM {STEPS} TIMESTAMP AS OF {none}");
        let (status, code) = server.sql(Role::Admin, &sql).await.problem();
        let codes = ["no_such_version", "syntax_error"];
        assert!(status == 422 && codes.contains(&code.as_str()), "{none}: {code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn out_of_range_is_said_with_what_there_is() {
    let (lake, server, times) = versions(2).await;
    for (clause, says) in [
        ("VERSION AS OF 3", "its newest version is 2"),
        ("VERSION AS OF 99999999999", "its newest version is 2"),
        ("VERSION AS OF 18446744073709551615", "its newest version is 2"),
        ("VERSION AS OF 18446744073709551616", "a whole number"),
        ("VERSION AS OF 1.0", "a whole number"),
        ("TIMESTAMP AS OF 1000", "its history begins at 20"),
        ("TIMESTAMP AS OF '9999-12-31'", "it is 20"),
    ] {
        let sql = format!("SELECT 1 FROM {STEPS} {clause}");
        let answer = server.sql(Role::Admin, &sql).await;
        assert_eq!(answer.problem(), (422, "no_such_version".to_owned()), "{clause}");
        assert!(answer.detail().contains(says), "{clause}: {}", answer.detail());
    }
    // What cannot be resolved is refused, not ignored.
    for (sql, code) in [
        (format!("SELECT 1 FROM {STEPS} FOR SYSTEM_TIME AS OF '2030-01-01'"), "not_supported"),
        ("WITH w AS (SELECT 1) SELECT * FROM w VERSION AS OF 1".to_owned(), "not_supported"),
        (
            "WITH W AS (SELECT 1) SELECT (SELECT 1 FROM w VERSION AS OF 1)".to_owned(),
            "not_supported",
        ),
        (
            format!("WITH {STEPS} AS (SELECT 1) SELECT * FROM {STEPS} VERSION AS OF 1"),
            "not_supported",
        ),
        (
            format!(
                "WITH {STEPS} AS (SELECT 1), v AS (SELECT * FROM {STEPS} VERSION AS OF 1) SELECT * FROM v"
            ),
            "not_supported",
        ),
        ("SELECT 1 FROM (SELECT 1) AS s VERSION AS OF 1".to_owned(), "syntax_error"),
        (format!("SELECT 1 FROM {STEPS} VERSION AS OF"), "syntax_error"),
        ("SELECT 1 FROM nothing VERSION AS OF 0".to_owned(), "table_not_found"),
        ("SELECT 1 FROM information_schema.tables VERSION AS OF 0".to_owned(), "table_not_found"),
    ] {
        let (status, found) = server.sql(Role::Admin, &sql).await.problem();
        let expected = if code == "table_not_found" { 404 } else { 422 };
        assert_eq!((status, found.as_str()), (expected, code), "{sql}");
    }
    // What a role does not see has no versions either.
    let answer =
        server.sql(Role::Trainer, &format!("SELECT 1 FROM {STEPS} VERSION AS OF 99")).await;
    assert_eq!(answer.problem(), (404, "table_not_found".to_owned()));

    // The log was cleaned up to version 1.
    let log = lake.root().join("landing").join(STEPS).join("_delta_log");
    std::fs::remove_file(log.join("00000000000000000000.json")).unwrap();
    for clause in ["VERSION AS OF 0".to_owned(), format!("TIMESTAMP AS OF {}", times[0])] {
        let sql = format!("SELECT 1 FROM {STEPS} {clause}");
        let answer = server.sql(Role::Admin, &sql).await;
        assert_eq!(answer.problem(), (422, "no_such_version".to_owned()), "{clause}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_sees_one_version_of_a_table() {
    let lake = Arc::new(TestLake::new().await);
    let server = TestServer::start(&lake.config).await;
    let done = Arc::new(AtomicBool::new(false));
    let loads = {
        let (lake, done) = (Arc::clone(&lake), Arc::clone(&done));
        tokio::spawn(async move {
            let mut number = 0;
            while !done.load(Ordering::SeqCst) {
                lake.load(STEPS, step(number)).await;
                number += 1;
            }
        })
    };
    let sql = format!(
        "WITH w AS (SELECT count(*) AS n FROM {STEPS}) SELECT a.n, b.n, c.n FROM w a, \
         (SELECT count(sensorreadingtime) AS n FROM landing.{STEPS}) b, \
         (SELECT max(sensorreadingtime) AS n FROM {STEPS}) c"
    );
    let mut seen = std::collections::BTreeSet::new();
    let began = Instant::now();
    while seen.len() < 20 {
        assert!(began.elapsed() < Duration::from_secs(60), "nothing is committed: {seen:?}");
        let answer = server.sql(Role::Admin, &sql).await;
        let rows = answer.rows();
        let version = answer.header("stedi-table-versions").strip_prefix("step_trainer_landing=");
        let version: u64 = version.unwrap().parse().unwrap();
        let max = if version == 0 { Value::Null } else { json!(version) };
        assert_eq!(rows, json!([[version, version, max]]));
        seen.insert(version);
    }
    done.store(true, Ordering::SeqCst);
    loads.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_commit_is_seen_after_the_staleness() {
    let lake = TestLake::new().await;
    let count = format!("SELECT count(*) FROM {STEPS}");
    let slow = Config { lake: LakeConfig { staleness_ms: 60_000 }, ..lake.config.clone() };
    let quick = Config { lake: LakeConfig { staleness_ms: 300 }, ..lake.config.clone() };
    let [slow, quick] = [TestServer::start(&slow).await, TestServer::start(&quick).await];
    for server in [&slow, &quick] {
        assert_eq!(server.rows(Role::Admin, &count).await, json!([[0]]));
    }
    // Another server's commit.
    lake.load(STEPS, step(1)).await;
    assert_eq!(slow.rows(Role::Admin, &count).await, json!([[0]]));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(quick.rows(Role::Admin, &count).await, json!([[1]]));
    assert_eq!(slow.rows(Role::Admin, &count).await, json!([[0]]));
    // Its own is seen at once, with what others committed before.
    let load = slow.request(
        reqwest::Method::POST,
        "/v1/landing/step_trainer_landing",
        Some(&slow.token(Role::Ingest)),
    );
    assert_eq!(load.body(step(2)).send().await.unwrap().status(), 200);
    assert_eq!(slow.rows(Role::Admin, &count).await, json!([[2]]));
    // And a new server sees all there is.
    let app = App::open(&lake.config).await.unwrap();
    assert_eq!(app.lake.newest("landing", STEPS).await.unwrap().unwrap().version(), 2);
}
