//! Maintenance over HTTP, from the shell, and by schedule.

use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use stedi_server::auth::Role;
use stedi_server::config::{Config, MaintenanceConfig};
use stedi_server::ledger::audit::{Action, Filter};

use super::{eager, folder, names, reading};
use crate::support::{Service, TestLake, TestServer, answered, client, fixture};

const LANDING: &str = "accelerometer_landing";

/// A lake with something to do, and its server.
async fn served() -> (TestLake, TestServer) {
    let lake = TestLake::new().await;
    lake.load_folder(&fixture()).await;
    for n in 0..4 {
        lake.load(LANDING, reading("ada", n)).await;
    }
    lake.promote().await;
    let maintenance = MaintenanceConfig { lease_seconds: 5, ..eager() };
    let config = Config { maintenance, ..lake.config.clone() };
    let server = TestServer::start(&config).await;
    (lake, server)
}

fn post(server: &TestServer, path: &str, body: &Value) -> RequestBuilder {
    server.request(Method::POST, path, Some(&server.token(Role::Admin))).json(body)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_asked_for_waited_for_and_recorded() {
    let (lake, server) = served().await;
    let admin = server.token(Role::Admin);
    let before = lake.count(LANDING).await;
    let asked = post(&server, "/v1/maintenance", &json!({ "tables": [LANDING] }));
    let answer = answered(asked.header("prefer", "wait=60")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let info = answer.json();
    assert_eq!(
        answer.header("location"),
        format!("/v1/maintenance/{}", info["id"].as_str().unwrap())
    );
    assert_eq!((&info["state"], &info["principal"]), (&json!("succeeded"), &json!("test")));
    let table = &info["tables"][0];
    assert_eq!((&table["table"], &table["state"]), (&json!(LANDING), &json!("done")));
    assert_eq!((&table["files_before"], &table["files_after"]), (&json!(6), &json!(1)));
    assert_eq!(table["checkpoint"], table["version"]);
    assert_eq!(lake.count(LANDING).await, before);
    let path = format!("/v1/maintenance/{}", info["id"].as_str().unwrap());
    assert_eq!(server.json(&path, Some(&admin)).await.1, info);
    // Cancelled too late it stays as it is.
    let cancelled = answered(post(&server, &format!("{path}/cancel"), &Value::Null)).await;
    assert_eq!((cancelled.status, cancelled.json()), (200, info.clone()));

    let (_, audit) = server.json("/v1/audit?action=maintenance", Some(&admin)).await;
    let record = &audit["records"][0];
    assert_eq!(record["resource"], "POST /v1/maintenance/{id}/cancel");
    let record = &audit["records"][1];
    assert_eq!((&record["outcome"], &record["principal"]), (&json!("ok"), &json!("test")));
    assert_eq!(record["tables"], json!({ LANDING: table["version"] }));
    let (_, history) = server.json(&format!("/v1/tables/{LANDING}/history"), Some(&admin)).await;
    let version = &history["versions"][0];
    assert_eq!((&version["operation"], &version["who"]), (&json!("compact"), &json!("test")));
    assert_eq!((&version["rows_inserted"], &version["rows_deleted"]), (&json!(0), &json!(0)));
    assert_eq!(version["request_id"], info["request_id"]);
    let metrics = server.get("/metrics", Some(&admin)).await.text().await.unwrap();
    for series in [
        r#"stedi_checkpoints_total{table="accelerometer_landing"} 1"#,
        r#"stedi_maintenance_table_seconds_count{table="accelerometer_landing",outcome="done"} 1"#,
    ] {
        assert!(metrics.contains(series), "{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_waiting_it_is_a_resource() {
    let (_lake, server) = served().await;
    let admin = server.token(Role::Admin);
    // All tables: nothing is named.
    let first = answered(post(&server, "/v1/maintenance", &json!({}))).await;
    assert_eq!(first.status, 202);
    let keyed = |tables: Value| {
        let request = post(&server, "/v1/maintenance", &json!({ "tables": tables }));
        request.header("idempotency-key", "k")
    };
    // It waits for the first one, and is cancelled before it begins.
    let second = answered(keyed(json!([LANDING]))).await.json();
    assert_eq!(second["state"], "queued");
    let path = format!("/v1/maintenance/{}", second["id"].as_str().unwrap());
    let cancelled = answered(post(&server, &format!("{path}/cancel"), &Value::Null)).await.json();
    assert_eq!(cancelled["state"], "cancelled", "{cancelled}");
    assert_eq!(cancelled["tables"][0]["state"], "skipped");
    // The same key is the same one.
    assert_eq!(answered(keyed(json!([LANDING]))).await.json()["id"], second["id"]);
    let reused = answered(keyed(json!(["customer_landing"]))).await;
    assert_eq!(reused.problem(), (422, "idempotency_key_reused".to_owned()));
    let path = first.header("location").to_owned();
    let began = Instant::now();
    let ended = loop {
        let (_, info) = server.json(&path, Some(&admin)).await;
        if info["state"] == "succeeded" {
            break info;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{info}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(ended["tables"].as_array().unwrap().len() > 12, "{ended}");
    for (body, status, code) in [
        (json!({ "tables": ["nothing"] }), 404, "table_not_found"),
        (json!({ "tables": [] }), 400, "malformed"),
        (json!({ "table": [] }), 400, "malformed"),
        (json!({ "tables": "x" }), 400, "malformed"),
    ] {
        let answer = answered(post(&server, "/v1/maintenance", &body)).await;
        assert_eq!(answer.problem(), (status, code.to_owned()), "{body}");
    }
    for id in ["x", "00000000000000000000000000000000", "..%2F..%2Flake"] {
        let problem = server.problem(&format!("/v1/maintenance/{id}"), Some(&admin)).await;
        assert_eq!(problem, (404, "maintenance_not_found".to_owned()), "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_left_is_taken_over() {
    let (lake, server) = served().await;
    let admin = server.token(Role::Admin);
    let tables = json!({ "tables": [LANDING, "customer_landing"] });
    let asked = post(&server, "/v1/maintenance", &tables);
    let info = answered(asked.header("prefer", "wait=60")).await.json();
    let id = info["id"].as_str().unwrap();
    // As a server leaves it that is killed at its second table.
    let folder = lake.root().join("system/maintenance");
    let open = folder.join(format!("open/{id}.json"));
    while open.exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut names = names(&folder.join(format!("runs/{id}")));
    let at = folder.join(format!("runs/{id}")).join(names.remove(1));
    let mut left: Value = serde_json::from_slice(&std::fs::read(&at).unwrap()).unwrap();
    left["state"] = "running".into();
    left["tables"][1]["state"] = "running".into();
    left["finished"] = Value::Null;
    std::fs::write(&at, left.to_string()).unwrap();
    let asked = folder.join(format!("runs/{id}/asked.json"));
    std::fs::copy(asked, open).unwrap();
    let path = format!("/v1/maintenance/{id}");
    let began = Instant::now();
    let ended = loop {
        let (_, info) = server.json(&path, Some(&admin)).await;
        if info["state"] == "succeeded" {
            break info;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{info}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!((&ended["attempts"], &info["attempts"]), (&json!(2), &json!(1)));
    // What was done before is told, too.
    assert_eq!(ended["tables"][0], info["tables"][0]);
    assert_eq!(ended["tables"][1]["state"], "done", "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_shell() {
    let (_lake, server) = served().await;
    let (url, token) = (server.url.clone(), server.token(Role::Admin));
    let run = move |arguments: &[&str]| {
        let mut command = client();
        let output =
            command.args(["--server", &url, "--token", &token]).args(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let done = tokio::task::spawn_blocking(move || {
        let csv = run(&[
            "--format",
            "csv",
            "maintain",
            "--table",
            LANDING,
            "--table",
            "customer_landing",
        ]);
        let all = run(&["maintain"]);
        let json = run(&["--format", "json", "maintain", "--table", LANDING]);
        let unknown = run(&["maintain", "--table", "nothing"]);
        (csv, all, json, unknown)
    });
    let (csv, all, json, unknown) = done.await.unwrap();
    assert_eq!(csv.0, Some(0), "{csv:?}");
    let lines: Vec<&str> = csv.1.lines().collect();
    assert_eq!(lines[0], "table,state,version,compacted,checkpoint,commits,files,seconds,why");
    assert!(lines[1].starts_with("customer_landing,done,3,2 -> 1,3,"), "{csv:?}");
    assert!(lines[2].starts_with("accelerometer_landing,done,7,6 -> 1,7,"), "{csv:?}");
    assert_eq!(all.0, Some(0), "{all:?}");
    assert!(all.1.contains("machine_learning_curated"), "{all:?}");
    let info: Value = serde_json::from_str(&json.1).unwrap();
    assert_eq!(info["state"], "succeeded");
    assert_eq!(unknown.0, Some(1));
    assert!(unknown.2.contains("there is no table nothing"), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn by_schedule() {
    let lake = TestLake::new().await;
    for n in 0..4 {
        lake.load(LANDING, reading("ada", n)).await;
    }
    let service = Service::over(
        &lake,
        "[maintenance]\nevery_seconds = 1\ncheckpoint_commits = 2\nmin_files = 2\n",
    );
    let log = folder(&lake, LANDING).join("_delta_log");
    let began = Instant::now();
    while !names(&log).iter().any(|name| name.ends_with(".checkpoint.parquet")) {
        assert!(began.elapsed() < Duration::from_secs(60), "{}", service.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(service.terminate(), Some(0));
    assert_eq!(lake.count(LANDING).await, 4);
    let again = stedi_server::app::App::open(&lake.config).await.unwrap();
    let filter = Filter { action: Some(Action::Maintenance), limit: 10, ..Filter::default() };
    let records = again.audit.find(&filter).await.unwrap().records;
    let facts = &records.last().unwrap().facts;
    assert_eq!((facts.resource.as_str(), facts.outcome.as_str()), ("schedule", "ok"));
    assert!(facts.tables.as_ref().unwrap().contains(LANDING), "{facts:?}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("c.toml"), "[maintenance]\nmin_files = 1\n").unwrap();
    let output = crate::support::server()
        .current_dir(folder.path())
        .args(["serve", "--config", "c.toml"])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(errors.contains("maintenance.min_files: 1 is not within 2 to "), "{errors}");
}
