//! Traces: a collector of the test's own sees what the server tells it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};
use stedi_server::auth::Role;

use crate::support::Service;

/// In no trace: who asked, what they asked, and what is in the lake.
const CANARY: &str = "canary-4e7d";

#[derive(Clone, Default)]
struct Collector {
    /// Headers and body of each call.
    calls: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
}

impl Collector {
    /// Listens for OTLP over HTTP; the address.
    async fn start(&self, status: StatusCode) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let take = async move |State(all): State<Self>, headers: HeaderMap, body: Bytes| {
            let body = serde_json::from_slice(&body).unwrap();
            all.calls.lock().unwrap().push((headers, body));
            (status, axum::Json(json!({})))
        };
        let router = Router::new().route("/v1/traces", post(take)).with_state(self.clone());
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        address
    }

    fn spans(&self) -> Vec<Value> {
        let calls = self.calls.lock().unwrap();
        let resources =
            calls.iter().flat_map(|(_, body)| body["resourceSpans"].as_array().unwrap());
        let scopes = resources.flat_map(|resource| resource["scopeSpans"].as_array().unwrap());
        scopes.flat_map(|scope| scope["spans"].as_array().unwrap().clone()).collect()
    }

    /// The first span with such an attribute, once it has come.
    async fn span(&self, key: &str, value: &str) -> Value {
        let started = Instant::now();
        loop {
            let found = self.spans().into_iter().find(|span| attribute(span, key) == value);
            if let Some(found) = found {
                return found;
            }
            assert!(
                started.elapsed() < Duration::from_secs(30),
                "{key}={value}: {:?}",
                self.spans()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn attribute(span: &Value, key: &str) -> String {
    let all = span["attributes"].as_array().unwrap();
    let value = all.iter().find(|it| it["key"] == key).map(|it| it["value"].clone());
    let inner = value.unwrap_or_default().as_object().and_then(|map| map.values().next().cloned());
    inner.map_or(String::new(), |value| value.as_str().map_or(value.to_string(), str::to_owned))
}

fn serving(endpoint: &str, more: &str) -> Service {
    Service::start(&format!("[traces]\nendpoint = '{endpoint}'\n{more}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_and_the_run_that_it_began_are_told_with_their_ids() {
    let collector = Collector::default();
    let endpoint = collector.start(StatusCode::OK).await;
    let more = format!("[traces.headers]\nauthorization = 'Bearer {CANARY}-header'\n");
    let http = reqwest::Client::new();
    let serving = serving(&endpoint, &more);
    let call = |path: &str, id: &str| {
        let token = serving.token_of(Role::Admin, &format!("{CANARY}-principal"));
        let request = http.post(format!("{}{path}", serving.url)).bearer_auth(token);
        request.header("x-request-id", id.to_owned())
    };
    // The trace is that of the caller.
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let sql = format!("SELECT '{CANARY}-text' AS x FROM customer_trusted");
    let asked = call("/v1/sql", "request-1").header("content-type", "text/plain").body(sql);
    let asked = asked.header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));
    assert_eq!(asked.send().await.unwrap().status(), 200);
    let record =
        format!(r#"{{"user":"{CANARY}@b.c","timeStamp":1655564444103,"x":1.0,"y":-1.0,"z":-1.0}}"#);
    let load = call("/v1/landing/accelerometer_landing", "request-2").body(record);
    assert_eq!(load.send().await.unwrap().status(), 200);
    let run: Value = call("/v1/promotions", "request-3")
        .header("prefer", "wait=60")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let run_id = run["id"].as_str().unwrap();

    let span = collector.span("stedi.request_id", "request-1").await;
    assert_eq!(span["name"], "POST /v1/sql");
    assert_eq!(span["kind"], 2, "of a server: {span}");
    assert_eq!(
        (&span["traceId"], &span["parentSpanId"]),
        (&json!(trace), &json!("00f067aa0ba902b7"))
    );
    assert_eq!(attribute(&span, "http.response.status_code"), "200");
    assert_eq!(attribute(&span, "http.route"), "/v1/sql");
    assert_eq!(attribute(&span, "stedi.roles"), "admin");
    let nanos = |key: &str| span[key].as_str().unwrap().parse::<u64>().unwrap();
    let (started, ended) = (nanos("startTimeUnixNano"), nanos("endTimeUnixNano"));
    assert!(started > 1_700_000_000_000_000_000 && started <= ended, "{started} {ended}");

    // From the request to its run and back.
    let run = collector.span("stedi.run_id", run_id).await;
    assert_eq!(run["name"], "run");
    assert_eq!(attribute(&run, "stedi.run.kind"), "promotion");
    assert_eq!(attribute(&run, "stedi.run.state"), "succeeded");
    assert_eq!(attribute(&run, "stedi.request_id"), "request-3");
    let asked = collector.span("stedi.ordered_run_id", run_id).await;
    assert_eq!(attribute(&asked, "stedi.request_id"), "request-3");
    // Below it, each table.
    let table = collector.span("stedi.table", "accelerometer_trusted").await;
    assert_eq!(table["name"], "promote");
    assert_eq!((&table["traceId"], &table["parentSpanId"]), (&run["traceId"], &run["spanId"]));
    assert_eq!(attribute(&table, "stedi.promotion.mode"), "rebuild");
    collector.span("stedi.request_id", "request-2").await;

    let log = serving.log();
    assert!(log.contains("request-3") && log.contains(run_id), "{log}");
    assert_eq!(serving.terminate(), Some(0));
    for (headers, body) in collector.calls.lock().unwrap().iter() {
        assert_eq!(headers["authorization"], format!("Bearer {CANARY}-header"));
        assert_eq!(headers["content-type"], "application/json");
        assert!(!body.to_string().contains(CANARY), "{body}");
        let resource = &body["resourceSpans"][0]["resource"];
        assert_eq!(attribute(resource, "service.name"), "stedi");
        assert_eq!(attribute(resource, "service.version"), stedi_openapi::VERSION);
        for span in body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap() {
            assert_eq!(span["traceId"].as_str().map(str::len), Some(32), "{span}");
            assert_eq!(span["spanId"].as_str().map(str::len), Some(16), "{span}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_fails_costs_nobody_anything_and_no_trace_is_told_that_is_not_sampled() {
    let collector = Collector::default();
    let endpoint = collector.start(StatusCode::SERVICE_UNAVAILABLE).await;
    let http = reqwest::Client::new();
    let serving = serving(&endpoint, "sample_percent = 0\n");
    let get = |id: &str, sampled: &str| {
        let parent = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{sampled}");
        let request = http.get(format!("{}/healthz", serving.url));
        request.header("x-request-id", id.to_owned()).header("traceparent", parent)
    };
    for (id, sampled) in [("not-sampled", "00"), ("sampled", "01"), ("later", "01")] {
        assert_eq!(get(id, sampled).send().await.unwrap().status(), 200);
        let plain = http.get(format!("{}/healthz", serving.url)).send().await.unwrap();
        assert_eq!(plain.status(), 200);
    }
    collector.span("stedi.request_id", "later").await;
    let spans = collector.spans();
    assert!(
        spans.iter().all(|span| span["traceId"] == "4bf92f3577b34da6a3ce929d0e0e4736"),
        "{spans:?}"
    );
    let ids: Vec<_> = spans.iter().map(|span| attribute(span, "stedi.request_id")).collect();
    assert_eq!(ids, ["sampled", "later"]);
    let since = Instant::now();
    while !serving.log().contains("traces cannot be sent") {
        assert!(since.elapsed() < Duration::from_secs(30), "{}", serving.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(serving.terminate(), Some(0));
}
