//! What a request may be: `Accept`, and the body's forms.

use reqwest::Method;
use serde_json::{Value, json};
use stedi_server::auth::Role;
use stedi_server::config::{Config, LimitsConfig, RoleLimitsConfig};

use super::formats::arrow;
use crate::support::{Answered, TestLake, TestServer, answered};

async fn served() -> (TestLake, TestServer) {
    let lake = TestLake::new().await;
    let server = TestServer::start(&lake.config).await;
    (lake, server)
}

/// POST of bytes with a content type.
async fn sent(server: &TestServer, kind: Option<&str>, body: impl Into<Vec<u8>>) -> Answered {
    let token = server.token(Role::Analyst);
    let request = server.request(Method::POST, "/v1/sql", Some(&token)).body(body.into());
    let request = match kind {
        Some(kind) => request.header("content-type", kind),
        None => request,
    };
    answered(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_format_is_negotiated() {
    let (_lake, server) = served().await;
    for (accept, expected) in [
        ("*/*", "application/json"),
        ("text/csv;q=0.5, application/x-ndjson;q=0.6", "application/x-ndjson"),
        ("text/html, text/csv;q=0.1", "text/csv; charset=utf-8; header=present"),
        ("application/json;q=0, */*", "application/x-ndjson"),
        ("application/x-parquet", "application/vnd.apache.parquet"),
        ("text/*", "text/csv; charset=utf-8; header=present"),
    ] {
        let request = server.statement(Role::Analyst, "SELECT 1").header("accept", accept);
        let answer = answered(request).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, expected), "{accept}");
    }
    for accept in ["text/html", "image/*", "text/csv;q=0", "application/xml, text/plain"] {
        let request = server.statement(Role::Analyst, "SELECT 1").header("accept", accept);
        let answer = answered(request).await;
        assert_eq!(answer.problem(), (406, "not_acceptable".to_owned()), "{accept}");
    }
    for codecs in ["zstd", "lz4", "unknown", "unknown, zstd"] {
        let accept = format!("application/vnd.apache.arrow.stream; codecs=\"{codecs}\"");
        let request = server.statement(Role::Analyst, "SELECT 7 AS n").header("accept", accept);
        let batches = arrow(&answered(request).await.body);
        assert_eq!(batches[0].num_rows(), 1, "{codecs}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_body_is_a_text_or_json() {
    let (_lake, server) = served().await;
    let utf8 = "text/plain; charset=UTF-8";
    for (kind, body) in [
        (Some("text/plain"), "SELECT 'ä'"),
        (Some(utf8), "SELECT 'ä'"),
        (Some("Text/Plain;charset=\"utf-8\""), "SELECT 'ä'"),
        (Some("application/json"), r#"{"sql": "SELECT 'ä'"}"#),
        (
            Some("application/json; charset=utf-8"),
            r#"{"sql": "SELECT '\u00e4'", "parameters": []}"#,
        ),
        (None, r#"{"sql": "SELECT $1", "parameters": ["ä"]}"#),
    ] {
        let answer = sent(&server, kind, body).await;
        assert_eq!(answer.rows(), json!([["ä"]]), "{kind:?}");
    }
    for kind in [
        "application/x-www-form-urlencoded",
        "application/sql",
        "text/html",
        "text/plain; charset=iso-8859-1",
        "application/json; charset=utf-16",
        "",
    ] {
        let answer = sent(&server, Some(kind), "SELECT 1").await;
        assert_eq!(answer.problem(), (415, "unsupported_media_type".to_owned()), "{kind}");
    }
    for (body, place) in [
        ("", "line 1 column 0"),
        ("SELECT 1", "line 1 column 1"),
        ("{\"sql\": \"SELECT 1\",\n \"parameters\": [1,]}", "line 2 column 19"),
        ("{\"sql\": \"SELECT 1\", \"limit\": 5}", "unknown field `limit`"),
        ("{\"parameters\": []}", "missing field `sql`"),
        ("{\"sql\": 1}", "line 1 column 9"),
        ("{\"sql\": \"SELECT 1\"} x", "trailing characters at line 1 column 21"),
        ("{\"sql\": \"SELECT 1\", \"parameters\": {\"a\": 1}}", "line 1 column"),
    ] {
        let answer = sent(&server, Some("application/json"), body).await;
        assert_eq!(answer.problem(), (400, "malformed".to_owned()), "{body}");
        assert!(answer.detail().contains(place), "{body}: {}", answer.detail());
    }
    let answer = sent(&server, Some("text/plain"), b"SELECT '\xff'".to_vec()).await;
    assert_eq!(answer.problem(), (400, "malformed".to_owned()));
    assert!(answer.detail().contains("not UTF-8 at byte 8"), "{}", answer.detail());
    let answer = sent(&server, Some("text/plain"), "  -- nothing\n ").await;
    assert_eq!(answer.problem(), (422, "statement_empty".to_owned()));
    let got = answered(server.request(Method::GET, "/v1/sql", None)).await;
    assert_eq!(got.problem().0, 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_read_up_to_its_limit() {
    let lake = TestLake::new().await;
    let bound = RoleLimitsConfig { statement_bytes: 1000, ..RoleLimitsConfig::default() };
    let limits =
        LimitsConfig { roles: [("analyst".to_owned(), bound)].into(), ..LimitsConfig::default() };
    let server = TestServer::start(&Config { limits, ..lake.config.clone() }).await;
    // Values are not counted as text.
    let long = "v".repeat(5000);
    let answer = server.bound(Role::Analyst, "SELECT length($1)", json!([long])).await;
    assert_eq!(answer.rows(), json!([[5000]]));
    let padded = |bytes: usize| format!("SELECT 1{}", " ".repeat(bytes - 8));
    assert_eq!(server.sql(Role::Analyst, &padded(1000)).await.rows(), json!([[1]]));
    let answer = server.sql(Role::Analyst, &padded(1001)).await;
    assert_eq!(answer.problem(), (413, "statement_too_long".to_owned()));
    assert!(answer.detail().contains("1001") && answer.detail().contains("1000"));
    let answer = server.sql(Role::Analyst, &padded(1 << 20)).await;
    assert_eq!(answer.problem(), (413, "body_too_large".to_owned()));
    let huge = json!({ "sql": "SELECT $1", "parameters": ["v".repeat(1 << 20)] }).to_string();
    let answer = sent(&server, Some("application/json"), huge).await;
    assert_eq!(answer.problem(), (413, "body_too_large".to_owned()));
    // Another role has its own.
    assert_eq!(server.sql(Role::Trainer, &padded(1001)).await.rows(), json!([[1]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_readers_ask() {
    let (_lake, server) = served().await;
    let answer = server.sql(Role::Ingest, "SELECT 1").await;
    assert_eq!(answer.problem(), (403, "forbidden".to_owned()));
    let answer = answered(server.request(Method::POST, "/v1/sql", None).body("SELECT 1")).await;
    assert_eq!(answer.problem(), (401, "token_missing".to_owned()));
    for role in [Role::Analyst, Role::Trainer, Role::Admin] {
        assert_eq!(server.rows(role, "SELECT 1").await, json!([[1]]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_names_its_statement_and_versions() {
    let lake = TestLake::filled().await;
    let server = TestServer::start(&lake.config).await;
    let sql = "SELECT a.x FROM machine_learning_curated a, customer_curated VERSION AS OF 0, \
               customer_curated b WHERE a.x > 5";
    let answer = server.sql(Role::Analyst, sql).await;
    let versions = answer.header("stedi-table-versions");
    assert_eq!(versions, "customer_curated=0, customer_curated=1, machine_learning_curated=1");
    let id = answer.header("stedi-statement-id").to_owned();
    // The id is that of its record.
    let admin = server.token(Role::Admin);
    let (_, page) = server.json("/v1/audit?action=sql", Some(&admin)).await;
    assert_eq!(page["records"][0]["id"], Value::from(id), "{page}");
}
