//! Metrics: who reads them, what they say, and that each is described.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use stedi_server::auth::Role;
use stedi_server::metrics::{Metrics, Outcome, Request, StoreOutcome, Usage};
use stedi_server::promotion::Lag;

use crate::support::{Service, TestLake, TestServer};

const READING: &str = r#"{"user":"a@b.c","timeStamp":1655564444103,"x":1.0,"y":-1.0,"z":-1.0}"#;

/// The value of a series, by its name and labels as they are served.
fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.rsplit_once(' ').is_some_and(|(it, _)| it == series));
    line.and_then(|line| line.rsplit(' ').next()).map(|value| value.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn admins_read_them_and_nobody_else() {
    let lake = TestLake::new().await;
    let server = TestServer::start(&lake.config).await;
    assert_eq!(server.problem("/metrics", None).await, (401, "token_missing".to_owned()));
    for role in [Role::Ingest, Role::Analyst, Role::Trainer] {
        let token = server.token(role);
        let refused = server.problem("/metrics", Some(&token)).await;
        assert_eq!(refused, (403, "forbidden".to_owned()), "{role:?}");
    }
    let admin = server.token(Role::Admin);
    let answer = server.get("/metrics", Some(&admin)).await;
    let kind = answer.headers()["content-type"].to_str().unwrap();
    assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"), "{kind}");
    let text = answer.text().await.unwrap();
    assert!(text.ends_with("# EOF\n"), "{text}");
    let labels = r#"method="GET",route="/metrics",status="403""#;
    assert_eq!(value(&text, &format!("stedi_http_requests_total{{{labels}}}")), Some(3.0));
    assert_eq!(value(&text, &format!("stedi_http_request_seconds_count{{{labels}}}")), Some(3.0));
    assert_eq!(value(&text, r#"stedi_http_denied_total{code="forbidden"}"#), Some(3.0));
    assert_eq!(value(&text, r#"stedi_http_denied_total{code="token_missing"}"#), Some(1.0));
    assert_eq!(value(&text, "stedi_http_requests_in_flight"), Some(1.0), "this one");
    assert!(value(&text, "stedi_http_connections").unwrap() >= 1.0);
    let limit = lake.config.memory.pool_bytes as f64;
    assert_eq!(value(&text, "stedi_memory_pool_limit_bytes"), Some(limit));
    assert_eq!(value(&text, "stedi_memory_pool_used_bytes"), Some(0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn loads_and_commits_are_counted() {
    let lake = TestLake::new().await;
    let table = "accelerometer_landing";
    lake.load(table, format!("{READING}\n{{}}\n")).await;
    lake.load(table, format!("{READING}\n{{}}\n")).await;
    let text = lake.app.metrics_text();
    let records = |outcome: &str| {
        let labels = format!(r#"table="{table}",outcome="{outcome}""#);
        value(&text, &format!("stedi_landing_records_total{{{labels}}}"))
    };
    assert_eq!(["accepted", "rejected", "duplicate"].map(records), [1.0, 1.0, 2.0].map(Some));
    let commits = |table: &str| value(&text, &format!(r#"stedi_commits_total{{table="{table}"}}"#));
    assert_eq!(commits(table), Some(1.0));
    assert_eq!(commits("accelerometer_landing_rejected"), Some(1.0));
    lake.promote().await;
    let text = lake.app.metrics_text();
    let commits = r#"stedi_commits_total{table="accelerometer_trusted"}"#;
    assert_eq!(value(&text, commits), Some(1.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn how_far_tables_are_behind_is_measured() {
    let lake = TestLake::new().await;
    let mut lag = Lag::default();
    let mut measured = async |table: &str| {
        lake.app.promotions.measure_lag(&mut lag).await;
        let text = lake.app.metrics_text();
        let of =
            |what: &str| value(&text, &format!(r#"stedi_promotion_lag_{what}{{table="{table}"}}"#));
        (of("seconds").unwrap(), of("versions").unwrap())
    };
    let (table, other) = ("accelerometer_trusted", "customer_trusted");
    assert_eq!(measured(table).await, (0.0, 0.0), "nothing was ever loaded");
    lake.load("accelerometer_landing", READING.to_owned()).await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let (seconds, versions) = measured(table).await;
    assert!((1.0..600.0).contains(&seconds) && versions == 1.0, "{seconds} s, {versions}");
    assert_eq!(measured(other).await, (0.0, 0.0), "it reads other tables");
    lake.load("accelerometer_landing", READING.replace("444103", "444104")).await;
    let (older, versions) = measured(table).await;
    assert!(older >= seconds && versions == 2.0, "{older} s, {versions}: the oldest change counts");
    lake.promote().await;
    assert_eq!(measured(table).await, (0.0, 0.0));
    // Commits without a change of rows are nothing to be behind of.
    lake.app.promotions.measure_lag(&mut Lag::default()).await;
    assert_eq!(measured(table).await, (0.0, 0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_the_store_are_counted() {
    let lake = TestLake::new().await;
    let calls = |operation: &str, outcome: &str| {
        let labels = format!(r#"operation="{operation}",outcome="{outcome}""#);
        let series = format!("stedi_store_request_seconds_count{{{labels}}}");
        value(&lake.app.metrics_text(), &series).unwrap_or_default()
    };
    let (puts, lists) = (calls("put", "ok"), calls("list", "ok"));
    assert!(puts > 0.0 && lists > 0.0, "{puts}, {lists}");
    lake.load("accelerometer_landing", READING.to_owned()).await;
    assert!(calls("put", "ok") > puts);
    assert!(calls("get", "ok") > 0.0);
    let (missing, conflicts) = (calls("get", "not_found"), calls("put", "conflict"));
    lake.app.lake.read_object("system/nothing").await.unwrap();
    assert_eq!(calls("get", "not_found"), missing + 1.0);
    lake.app.lake.create_object("system/lake.json", Vec::new()).await.unwrap();
    assert_eq!(calls("put", "conflict"), conflicts + 1.0);
    assert_eq!(calls("put", "error"), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_their_own_needs_no_token_and_has_nothing_else() {
    let service = Service::start("[metrics]\nlisten = '127.0.0.1:0'\n");
    let metrics = service.metrics.clone().unwrap();
    assert!(metrics.ends_with("/metrics"), "{metrics}");
    assert!(!metrics.contains(service.address()), "{metrics}");
    let answer = reqwest::get(&metrics).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.text().await.unwrap().contains("stedi_memory_pool_limit_bytes"));
    let answer = reqwest::get(metrics.replace("/metrics", "/v1/tables")).await.unwrap();
    assert_eq!(answer.status(), 404);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["code"], "not_found");
    // The service's own address asks for a token as ever.
    let answer = reqwest::get(format!("{}/metrics", service.url)).await.unwrap();
    assert_eq!(answer.status(), 401);
    assert_eq!(service.terminate(), Some(0));
    assert!(reqwest::get(&metrics).await.is_err());
}

/// One of everything, so that every series is there.
fn all() -> Metrics {
    let metrics = Metrics::new();
    let elapsed = Duration::from_millis(1);
    metrics.request(&Request { method: "GET", route: "/", status: 200, elapsed });
    metrics.denied("forbidden");
    metrics.statement(Role::Analyst, Outcome::Succeeded, elapsed);
    metrics.result("json", 1, 1);
    metrics.commit("t");
    metrics.conflict("t");
    metrics.load(&stedi_openapi::LoadResult {
        table: "t".to_owned(),
        received: 1,
        accepted: 1,
        rejected: 0,
        duplicate: 0,
        suppressed: 0,
        version: 1,
        rejects: Vec::new(),
        revocations: Vec::new(),
        unknown_fields: BTreeMap::new(),
    });
    metrics.audited(1);
    metrics.audit_failed();
    metrics.promotion("succeeded");
    metrics.table_promoted("t", "append", Duration::from_millis(1));
    let maintained = stedi_openapi::MaintainedTable {
        checkpoint: Some(1),
        ..stedi_openapi::MaintainedTable::queued("t")
    };
    metrics.maintained(&maintained, elapsed);
    metrics.deny_read(true);
    metrics.deny_entries(1);
    metrics.revocations(1, 1, Some(1000));
    metrics.store_called("get", StoreOutcome::Ok, elapsed);
    metrics.promotion_lag("t", 1.0, 1);
    metrics.table_cache_hit();
    metrics.table_cache_miss();
    metrics.usage(Usage { memory: 1, memory_limit: 1, spill: 1, spill_limit: 1 });
    metrics
}

#[test]
fn each_is_described_and_nothing_else_is() {
    let page = include_str!("../../docs/metrics.md");
    // Name → kind and labels, of the page's tables.
    let described: BTreeMap<String, (String, String)> = page
        .lines()
        .filter(|line| line.starts_with("| `stedi_"))
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let kind = cells[2].split(',').next().unwrap().to_owned();
            (cells[1].trim_matches('`').to_owned(), (kind, cells[3].replace(['`', ' '], "")))
        })
        .collect();
    let metrics = all();
    let mut names: Vec<&str> = metrics.names().iter().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(described.keys().map(String::as_str).collect::<Vec<_>>(), names);

    let text = metrics.text();
    for (name, (kind, labels)) in &described {
        let family = name.strip_suffix("_total").unwrap_or(name);
        assert!(text.contains(&format!("# TYPE {family} {kind}\n")), "{name} is no {kind}: {text}");
        let sample = match kind.as_str() {
            "histogram" => format!("{name}_count"),
            _ => name.clone(),
        };
        let found = text.lines().find_map(|line| line.strip_prefix(&sample));
        let found = found.unwrap_or_else(|| panic!("{name} has no series in {text}"));
        let found: Vec<&str> = found
            .split(['{', ',', '}'])
            .filter_map(|part| part.split_once("=\"").map(|(label, _)| label))
            .collect();
        assert_eq!(found.join(","), *labels, "labels of {name}");
    }
}
