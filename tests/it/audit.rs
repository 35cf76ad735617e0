//! The audit: what is recorded, who reads it, and that nobody changes it unseen.

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use stedi_server::app::App;
use stedi_server::auth::Role;
use stedi_server::config::{AuditConfig, Config};
use stedi_server::lake::{Change, Mode, Writer, commit};
use stedi_server::ledger::audit::{
    Action, Audit, Draft, End, Filter, Literals, Outcome, Row, declared,
};
use stedi_server::pipeline::stored_columns;

use crate::audit_crash::journal;
use crate::support::{TestLake, TestServer, author, fixture, server};
use crate::writers::share_keys;

const CANARY: &str = "canary.lovelace@example.com";

async fn all(audit: &Audit) -> Vec<Row> {
    audit.find(&Filter { limit: 1000, ..Filter::default() }).await.unwrap().records
}

/// A lake and a server on it, with an audit of the test's.
async fn served(audit: AuditConfig) -> (TestLake, TestServer) {
    let lake = TestLake::new().await;
    let state_dir = lake.config.state_dir.join("server");
    let config = Config { audit, state_dir, ..lake.config.clone() };
    // The keys of the lake.
    std::fs::create_dir_all(&config.state_dir).unwrap();
    share_keys(&lake.config.state_dir, &config.state_dir);
    let server = TestServer::start(&config).await;
    (lake, server)
}

async fn records(server: &TestServer, query: &str) -> Vec<Value> {
    let token = server.token(Role::Admin);
    let (status, body) = server.json(&format!("/v1/audit?{query}"), Some(&token)).await;
    assert_eq!(status, 200, "{query}: {body}");
    body["records"].as_array().unwrap().clone()
}

fn texts(records: &[Value], field: &str) -> Vec<String> {
    let text = |record: &Value| record[field].as_str().unwrap_or("null").to_owned();
    records.iter().map(text).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn denied_requests_are_recorded() {
    let (_lake, server) = served(AuditConfig::default()).await;
    let (trainer, analyst) = (server.token(Role::Trainer), server.token(Role::Analyst));
    assert_eq!(server.problem("/v1/tables", None).await.0, 401);
    assert_eq!(server.problem("/v1/tables/anything", Some("not.a.token")).await.0, 401);
    assert_eq!(server.problem("/v1/audit", Some(&analyst)).await.0, 403);
    assert_eq!(server.problem("/v1/audit/verify", Some(&trainer)).await.0, 403);
    assert_eq!(server.problem(&format!("/v1/tables/{CANARY}"), Some(&trainer)).await.0, 404);
    // Not denied: there is nothing, and what is answered.
    assert_eq!(server.problem("/v1/nothing", Some(&trainer)).await.0, 404);
    assert_eq!(server.json("/v1/tables", Some(&trainer)).await.0, 200);

    let found = records(&server, "action=denied").await;
    let seen: Vec<_> = found
        .iter()
        .map(|r| json!([r["resource"], r["code"], r["principal"], r["roles"], r["times"]]))
        .collect();
    assert_eq!(
        seen,
        [
            json!(["GET /v1/tables/{table}", "table_not_found", "test", "trainer", 1]),
            json!(["GET /v1/audit/verify", "forbidden", "test", "trainer", 1]),
            json!(["GET /v1/audit", "forbidden", "test", "analyst", 1]),
            json!(["GET /v1/tables/{table}", "token_invalid", null, null, 1]),
            json!(["GET /v1/tables", "token_missing", null, null, 1]),
        ]
    );
    assert!(texts(&found, "outcome").iter().all(|outcome| outcome == "denied"));
    // Reading it is recorded as well.
    let read = records(&server, "action=audit").await;
    assert_eq!((&read[0]["rows_out"], &read[0]["principal"]), (&json!(5), &json!("test")));
    assert!(read[0]["bytes_out"].as_i64().unwrap() > 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_denied_request_is_counted() {
    let (_lake, server) = served(AuditConfig::default()).await;
    for _ in 0..50 {
        assert_eq!(server.problem("/v1/tables", None).await.0, 401);
    }
    let times = |found: &[Value]| found.iter().map(|r| r["times"].clone()).collect::<Vec<_>>();
    assert_eq!(times(&records(&server, "action=denied").await), [json!(49), json!(1)]);
    assert_eq!(server.problem("/v1/tables", None).await.0, 401);
    assert_eq!(times(&records(&server, "action=denied").await), [json!(1), json!(49), json!(1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn counted_requests_are_recorded_when_their_window_ends() {
    let (_lake, server) = served(AuditConfig { denied_seconds: 5, ..AuditConfig::default() }).await;
    for _ in 0..5 {
        assert_eq!(server.problem("/v1/tables", None).await.0, 401);
    }
    tokio::time::sleep(Duration::from_millis(5500)).await;
    // A new window.
    assert_eq!(server.problem("/v1/tables", None).await.0, 401);
    let found = records(&server, "action=denied").await;
    let times: Vec<_> = found.iter().map(|r| r["times"].as_i64().unwrap()).collect();
    assert_eq!(times, [1, 4, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_found_by_what_they_say() {
    let (_lake, server) = served(AuditConfig::default()).await;
    let token = server.token(Role::Admin);
    for path in ["/v1/tables", "/v1/tables/x", "/v1/audit"] {
        server.get(path, None).await;
    }
    let newest = records(&server, "action=denied").await;
    assert_eq!(newest.len(), 3);
    let at = newest[1]["at"].as_i64().unwrap();
    assert_eq!(records(&server, "action=denied&limit=2").await, newest[..2]);
    let after = format!("action=denied&after={}", newest[0]["id"].as_str().unwrap());
    assert_eq!(records(&server, &after).await, newest[1..]);
    let from = records(&server, &format!("action=denied&from={at}")).await;
    assert!(from.len() >= 2 && from[..2] == newest[..2]);
    let to = records(&server, &format!("action=denied&to={at}")).await;
    assert!(to.len() <= 1 && to.iter().all(|record| record["at"].as_i64().unwrap() < at));
    assert!(records(&server, "to=2020-01-31T12:00:00Z").await.is_empty());
    assert!(records(&server, "from=2020-01-31T12:00:00%2B01:00&action=denied").await.len() == 3);
    assert!(records(&server, "principal=nobody").await.is_empty());
    assert!(!records(&server, "principal=test").await.is_empty());
    assert!(records(&server, "subject=0123&outcome=ok&table=t").await.is_empty());
    assert_eq!(records(&server, "principal=%27%20OR%20%271%27%3D%271").await, Vec::<Value>::new());
    for wrong in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "from=yesterday",
        "to=2020-01-31",
        "action=drop",
        "outcome=good",
        "unknown=1",
    ] {
        let (status, code) = server.problem(&format!("/v1/audit?{wrong}"), Some(&token)).await;
        assert_eq!((status, code.as_str()), (400, "malformed"), "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_is_recorded_as_it_ends() {
    let lake = TestLake::new().await;
    let audit = &lake.app.audit;
    let draft = |resource: &str| Draft {
        principal: Some("somebody".to_owned()),
        subject: Some("0123".to_owned()),
        tables: [("a".to_owned(), Some(3)), ("b".to_owned(), None)].into(),
        ..Draft::new(Action::Sql, resource)
    };
    audit.record(draft("short"), End { rows_out: Some(1), ..End::ok() }).await.unwrap();
    let long = audit.begin(draft("long")).await.unwrap();
    long.counts().add(10, 100);
    long.counts().add(1, 1);
    long.end(End::ok()).await.unwrap();
    let mut hung_up = audit.prepare(draft("hung up"));
    hung_up.leave().await.unwrap();
    hung_up.counts().add(7, 70);
    drop(hung_up);
    drop(audit.prepare(draft("never left")));
    audit.record(draft("failed"), End::other(Outcome::Failed, "limit")).await.unwrap();

    let rows = all(audit).await;
    let seen: Vec<_> = rows
        .iter()
        .map(|Row { facts: f, .. }| {
            (f.resource.as_str(), f.outcome.as_str(), f.rows_out, f.bytes_out, f.code.as_deref())
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("failed", "failed", None, None, Some("limit")),
            ("never left", "cancelled", None, None, Some("cancelled")),
            ("hung up", "cancelled", Some(7), Some(70), Some("cancelled")),
            ("long", "ok", Some(11), Some(101), None),
            ("short", "ok", Some(1), None, None),
        ]
    );
    assert_eq!(rows[0].facts.tables.as_deref(), Some(r#"{"a":3,"b":null}"#));
    for (filter, count) in [
        (Filter { table: Some("a".to_owned()), ..Filter::default() }, 5),
        (Filter { table: Some("b\":".to_owned()), ..Filter::default() }, 0),
        (Filter { subject: Some("0123".to_owned()), ..Filter::default() }, 5),
        (Filter { outcome: Some(Outcome::Cancelled), ..Filter::default() }, 2),
    ] {
        let found = audit.find(&Filter { limit: 10, ..filter.clone() }).await.unwrap();
        assert_eq!(found.records.len(), count, "{filter:?}");
    }
    assert!(audit.verify().await.unwrap().is_sound());
}

#[test]
fn a_demo_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = server();
    demo.current_dir(folder.path()).args(["demo", "--exit", "--source"]).arg(fixture());
    let output = demo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let config = Config {
        storage: folder.path().join(".stedi/lake").to_str().unwrap().to_owned(),
        state_dir: folder.path().join(".stedi"),
        ..Config::default()
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let rows = runtime.block_on(async { all(&App::open(&config).await.unwrap().audit).await });
    let snapshot = &rows[0].facts;
    assert_eq!((snapshot.action.as_str(), snapshot.outcome.as_str()), ("snapshot", "ok"));
    let promotion = &rows[1].facts;
    assert_eq!((promotion.action.as_str(), promotion.outcome.as_str()), ("promotion", "ok"));
    assert!(promotion.tables.as_deref().unwrap().contains("\"customer_curated\":"));
    let loads = &rows[2..];
    assert_eq!(loads.len(), 5);
    assert!(loads.iter().all(|row| row.facts.action == "load" && row.facts.outcome == "ok"));
    assert!(rows.iter().all(|row| row.facts.principal.value.as_deref() == Some("demo")));
    let accepted: i64 = loads.iter().filter_map(|row| row.facts.rows_in).sum();
    assert_eq!(accepted, 10 + 12 + 9);
}

/// Somebody who may write the lake puts other rows in the place of the table's.
async fn tamper(lake: &TestLake, select: &str) {
    let app = &lake.app;
    let table = app.lake.table("system", "audit").await.unwrap().unwrap();
    let session = app.lake.sessions().session();
    table.register(&session, "audit").await.unwrap();
    let rows = session.sql(select).await.unwrap().collect().await.unwrap();
    let mut writer = Writer::new(&table, &stored_columns(&declared().columns));
    for batch in rows {
        writer.write(&batch).await.unwrap();
    }
    let written = writer.finish().await.unwrap();
    let txns = vec![("somebody".to_owned(), table.version() as i64)];
    let (author, info) = (author(), json!({}));
    let change = Change { mode: Mode::Overwrite, written, columns: None, txns, author, info };
    commit(&app.lake, "system", &table, change).await.unwrap();
}

/// All columns, some of them with another value.
fn columns(changes: &[(&str, &str)]) -> String {
    let declared = declared();
    let columns = declared.columns.iter().map(|column| {
        match changes.iter().find(|(name, _)| *name == column.name) {
            Some((name, value)) => format!("{value} AS {name}"),
            None => column.name.clone(),
        }
    });
    columns.collect::<Vec<_>>().join(", ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_table_is_found_and_a_redacted_one_holds() {
    let same = columns(&[]);
    for (what, select, reason) in [
        ("nothing", format!("SELECT {same} FROM audit"), None),
        (
            "redacted",
            format!(
                "SELECT {} FROM audit",
                columns(&[("principal", "NULL"), ("principal_salt", "NULL")])
            ),
            None,
        ),
        (
            "changed",
            format!(
                "SELECT {} FROM audit",
                columns(&[("rows_out", "CASE WHEN seq = 2 THEN 0 ELSE rows_out END")])
            ),
            Some((2, "was changed")),
        ),
        (
            "another principal",
            format!(
                "SELECT {} FROM audit",
                columns(&[("principal", "CASE WHEN seq = 3 THEN 'you' ELSE principal END")])
            ),
            Some((3, "principal was changed")),
        ),
        ("removed", format!("SELECT {same} FROM audit WHERE seq <> 2"), Some((2, "missing"))),
        ("first removed", format!("SELECT {same} FROM audit WHERE seq > 1"), Some((1, "missing"))),
        ("newest removed", format!("SELECT {same} FROM audit WHERE seq < 4"), Some((4, "newest"))),
        ("all removed", format!("SELECT {same} FROM audit WHERE false"), Some((1, "newest"))),
        (
            "doubled",
            format!("SELECT {same} FROM audit UNION ALL SELECT {same} FROM audit WHERE seq = 2"),
            Some((2, "more than one")),
        ),
        (
            "moved",
            format!(
                "SELECT {} FROM audit",
                columns(&[("seq", "CASE seq WHEN 2 THEN 3 WHEN 3 THEN 2 ELSE seq END")])
            ),
            Some((2, "was changed")),
        ),
    ] {
        let lake = TestLake::new().await;
        let audit = &lake.app.audit;
        for rows in 1..=4 {
            let draft = Draft {
                principal: Some("me".to_owned()),
                ..Draft::new(Action::Sql, "POST /v1/sql")
            };
            audit.record(draft, End { rows_out: Some(rows), ..End::ok() }).await.unwrap();
        }
        assert!(audit.verify().await.unwrap().is_sound());
        tamper(&lake, &select).await;
        let report = audit.verify().await.unwrap();
        let found = report.chains[0].broken.clone();
        match (found, reason) {
            (None, None) => {}
            (Some(found), Some((seq, reason))) => {
                assert_eq!(found.seq, seq, "{what}: {found:?}");
                assert!(found.reason.contains(reason), "{what}: {found:?}");
            }
            (found, _) => panic!("{what}: {found:?}"),
        }
        assert_eq!(report.chains[0].redacted, if what == "redacted" { 4 } else { 0 });
        // The server goes on.
        audit.record(Draft::new(Action::Sql, "next"), End::ok()).await.unwrap();
        assert_eq!(all(audit).await[0].facts.resource, "next", "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_cut_is_found() {
    let lake = TestLake::new().await;
    let audit = &lake.app.audit;
    let log = lake.root().join("system/audit/_delta_log");
    for _ in 0..2 {
        audit.record(Draft::new(Action::Sql, "POST /v1/sql"), End::ok()).await.unwrap();
        audit.flush().await.unwrap();
    }
    std::fs::remove_file(log.join("00000000000000000002.json")).unwrap();
    // The chain of this server goes on where it was; nothing is recorded in between.
    let report = audit.verify().await.unwrap();
    let broken = report.chains[0].broken.clone().unwrap();
    assert!(broken.seq == 2 && broken.reason.contains("newest"), "{broken:?}");
}

/// All bytes of the files below a folder.
fn bytes(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        match entry.path().is_dir() {
            true => bytes.extend(self::bytes(&entry.path())),
            false => bytes.extend(std::fs::read(entry.path()).unwrap()),
        }
    }
    bytes
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_value_and_no_token_is_recorded() {
    let (lake, server) =
        served(AuditConfig { flush_ms: 3_600_000, ..AuditConfig::default() }).await;
    let token = server.token(Role::Analyst);
    assert_eq!(server.problem(&format!("/v1/tables/{CANARY}"), Some(&token)).await.0, 404);
    assert_eq!(server.problem("/v1/audit", Some(&token)).await.0, 403);
    assert_eq!(server.problem("/v1/audit", Some(&token[..token.len() - 4])).await.0, 401);
    // Its journal stays as long as it is not asked for.
    let state_dir = lake.config.state_dir.join("quiet");
    std::fs::create_dir_all(&state_dir).unwrap();
    share_keys(&lake.config.state_dir, &state_dir);
    let quiet = AuditConfig { flush_ms: 3_600_000, ..AuditConfig::default() };
    let config = Config { audit: quiet, state_dir: state_dir.clone(), ..lake.config.clone() };
    let app = App::open(&config).await.unwrap();
    let audit = &app.audit;
    for sql in [
        format!("SELECT email FROM customer_trusted WHERE email = '{CANARY}' -- {CANARY}"),
        format!("SELECT \"{CANARY}\" /* {CANARY} */ FROM customer_trusted WHERE x = $${CANARY}$$"),
        format!("SELECT '{CANARY}"),
    ] {
        let statement = Some(audit.redact(&sql, &[json!(CANARY)]));
        let draft = Draft { statement, ..Draft::new(Action::Sql, "POST /v1/sql") };
        audit.record(draft, End::ok()).await.unwrap();
    }
    // In the journal, and in the table. Parquet is compressed, so its rows are read as well.
    assert!(!journal(&state_dir).is_empty());
    let mut written = bytes(&state_dir.join("audit"));
    written.extend(bytes(&lake.config.state_dir.join("server/audit")));
    assert!(contains(&written, "SELECT email FROM customer_trusted"), "the journal is read");
    records(&server, "").await;
    written.extend(bytes(&lake.root().join("system/audit")));
    let rows = all(audit).await;
    let text = format!("{rows:?}");
    assert!(text.contains("SELECT email FROM customer_trusted") && text.contains("forbidden"));
    written.extend(text.into_bytes());
    for part in token.split('.').chain([CANARY, "canary", "lovelace"]) {
        assert!(!contains(&written, part), "{part}");
    }
    // What may be redacted is not in the log, which outlives it.
    let somebody = "somebody.in.particular".to_owned();
    let draft = Draft { principal: Some(somebody.clone()), ..Draft::new(Action::Sql, "indexed") };
    audit.record(draft, End::ok()).await.unwrap();
    assert_eq!(all(audit).await[0].facts.principal.value, Some(somebody.clone()));
    let log = bytes(&lake.root().join("system/audit/_delta_log"));
    assert!(contains(&log, &format!("audit:{}", audit.chain())) && !contains(&log, &somebody));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_recorded_is_refused() {
    let (lake, server) =
        served(AuditConfig { journal_bytes: 1, flush_ms: 3_600_000, ..AuditConfig::default() })
            .await;
    let admin = server.token(Role::Admin);
    let unavailable = (503, "audit_unavailable".to_owned());
    assert_eq!(server.problem("/v1/tables", None).await.0, 401);
    assert_eq!(server.problem("/v1/tables/x", None).await, unavailable);
    // Reading it brings the journal into the table, so that there is room again.
    assert_eq!(records(&server, "action=denied").await.len(), 1);
    assert_eq!(server.problem("/v1/audit/verify", None).await, unavailable);
    assert_eq!(server.json("/v1/audit/verify", Some(&admin)).await.1["ok"], true);

    // The disk is gone.
    records(&server, "").await;
    let server = served_on(&lake, AuditConfig { flush_ms: 1, ..AuditConfig::default() }).await;
    assert_eq!(server.problem("/v1/tables", None).await.0, 401);
    let state = lake.config.state_dir.join("second");
    while !journal(&state).is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    std::fs::rename(state.join("audit"), state.join("gone")).unwrap();
    assert_eq!(server.problem("/v1/tables/x", None).await, unavailable);
    assert_eq!(server.problem("/v1/audit", None).await, unavailable);
    std::fs::rename(state.join("gone"), state.join("audit")).unwrap();
    assert_eq!(server.problem("/v1/audit", None).await.0, 401);
    let codes = texts(&records(&server, "action=denied").await, "resource");
    assert_eq!(codes, ["GET /v1/audit", "GET /v1/tables", "GET /v1/tables"]);
}

/// Another server on the same lake.
async fn served_on(lake: &TestLake, audit: AuditConfig) -> TestServer {
    let state_dir = lake.config.state_dir.join("second");
    std::fs::create_dir_all(&state_dir).unwrap();
    let config = Config { audit, state_dir, ..lake.config.clone() };
    share_keys(&lake.config.state_dir, &config.state_dir);
    TestServer::start(&config).await
}

proptest! {
    #[test]
    fn a_word_that_is_not_known_never_comes_through(
        before in "[ -~\\n]{0,16}",
        after in "[ -~\\n]{0,16}",
    ) {
        let literals = Literals::new(&[7; 32], ["email".to_owned()]);
        let redacted = literals.statement(&format!("{before}adalovelace{after}"), &[]);
        prop_assert!(!redacted.text().contains("adalovelace"), "{}", redacted.text());
    }
}
