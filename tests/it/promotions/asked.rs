//! Asking for runs, and what is said of them.

use reqwest::Method;
use serde_json::{Value, json};
use stedi_server::auth::Role;

use super::{Site, each, table};

#[tokio::test(flavor = "multi_thread")]
async fn a_run_says_what_it_did_and_stays_readable() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), "").await;
    site.load_fixture().await;
    let answer = site.post("/v1/promotions").header("prefer", "wait=60").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let location = answer.headers()["location"].to_str().unwrap().to_owned();
    let run: Value = answer.json().await.unwrap();
    assert_eq!(location, format!("/v1/promotions/{}", run["id"].as_str().unwrap()));
    assert_eq!(run["state"], "succeeded");
    assert_eq!(run["cause"], "request");
    assert_eq!(run["principal"], "admin");
    assert_eq!(run["attempts"], 1);
    let modes: Vec<_> = each(&run, "mode");
    assert_eq!(
        modes,
        [
            ("customer_trusted", "rebuild"),
            ("accelerometer_trusted", "rebuild"),
            ("customer_curated", "rebuild"),
            ("step_trainer_trusted", "rebuild"),
            ("machine_learning_curated", "rebuild"),
        ]
    );
    let curated = table(&run, "machine_learning_curated");
    assert_eq!(curated["rows_inserted"], 5);
    assert_eq!(curated["version"], 1);
    assert_eq!(curated["sources"]["step_trainer_trusted"], 1);
    assert_eq!(curated["why"], "it is new");
    assert!(curated["rows_read"].as_u64().unwrap() > 0, "{curated}");

    let first = run;
    let run = site.promote(&[]).await;
    assert!(each(&run, "mode").iter().all(|(_, mode)| *mode == "nothing"), "{run}");
    let run = site.promote(&["customer_curated", "customer_trusted", "customer_trusted"]).await;
    let asked = each(&run, "state");
    assert_eq!(asked, [("customer_trusted", "succeeded"), ("customer_curated", "succeeded")]);

    let list = site.serving.json("/v1/promotions?limit=2").await;
    assert_eq!(list["promotions"][0], run);
    let next = list["next"].as_str().unwrap();
    let rest = site.serving.json(&format!("/v1/promotions?limit=2&before={next}")).await;
    assert_eq!(rest["promotions"].as_array().unwrap().len(), 1);
    assert_eq!(rest["next"], Value::Null);

    // Rows of a table, for admins alone.
    let inserted: u64 = first["tables"]
        .as_array()
        .unwrap()
        .iter()
        .map(|table| table["rows_inserted"].as_u64().unwrap())
        .sum();
    assert!(inserted > 0);
    let row = |rows: u64| json!(["succeeded", "request", rows]);
    let sql = "SELECT state, cause, rows_inserted FROM system.runs ORDER BY id";
    site.sql_becomes(sql, json!([row(inserted), row(0), row(0)])).await;

    // And records of the audit.
    let audit = site.serving.json("/v1/audit?action=promotion").await;
    let records = audit["records"].as_array().unwrap();
    assert_eq!(records.len(), 3, "{audit}");
    assert!(records.iter().all(|record| record["principal"] == "admin"), "{audit}");
    assert!(records.iter().all(|record| record["outcome"] == "ok"), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_orders_say_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), "[promotion]\nqueued = 0\n").await;
    for (body, status, code) in [
        (json!({ "tables": ["customer_landing"] }), 404, "table_not_found"),
        (json!({ "tables": ["nothing"] }), 404, "table_not_found"),
        (json!({ "tables": [] }), 400, "malformed"),
        (json!({ "tables": "customer_trusted" }), 400, "malformed"),
        (json!({ "table": ["customer_trusted"] }), 400, "malformed"),
        (json!([1]), 400, "malformed"),
        (json!({}), 429, "too_many_promotions"),
    ] {
        let answer = site.post("/v1/promotions").json(&body).send().await.unwrap();
        assert_eq!(answer.status(), status, "{body}");
        assert_eq!(answer.headers().contains_key("retry-after"), status == 429);
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["code"], code, "{body}");
    }
    let text = site.post("/v1/promotions").body("{}").send().await.unwrap();
    assert_eq!(text.status(), 415);
    let key = site.post("/v1/promotions").header("idempotency-key", "").send().await.unwrap();
    assert_eq!(key.status(), 400);
    for (path, status) in [
        ("/v1/promotions?limit=0", 400),
        ("/v1/promotions?limit=x", 400),
        ("/v1/promotions?more=1", 400),
        ("/v1/promotions/x", 404),
        ("/v1/promotions/..%2F..%2Flake", 404),
        ("/v1/promotions/01a21d9f9d95775d87c0dacd1619fa9b", 404),
        ("/v1/promotions/01a21d9f9d95775d87c0dacd1619fa9b/events", 404),
    ] {
        let token = site.serving.token(Role::Admin, "admin");
        let url = format!("{}{path}", site.serving.url);
        let answer = site.http().get(url).bearer_auth(token).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
    }
    // For admins alone, whatever is asked.
    for role in [Role::Analyst, Role::Trainer, Role::Ingest] {
        for (method, path) in [
            (Method::POST, "/v1/promotions"),
            (Method::GET, "/v1/promotions"),
            (Method::GET, "/v1/promotions/x"),
            (Method::GET, "/v1/promotions/x/events"),
            (Method::POST, "/v1/promotions/x/cancel"),
        ] {
            let url = format!("{}{path}", site.serving.url);
            let token = site.serving.token(role, "other");
            let answer = site.http().request(method, url).bearer_auth(token).send().await.unwrap();
            assert_eq!(answer.status(), 403, "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_one_run_of_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), "").await;
    let ask = async |site: &Site, who: &str, body: Value| {
        let request = site.post_as(who, "/v1/promotions").header("idempotency-key", "k");
        let answer = request.json(&body).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().await.unwrap())
    };
    let (status, first) = ask(&site, "a", json!({})).await;
    assert_eq!(status, 202);
    site.ended(first["id"].as_str().unwrap()).await;
    // Once it has ended, the answer is what became of it.
    let (status, again) = ask(&site, "a", json!({})).await;
    assert_eq!((status, &again["id"]), (200, &first["id"]));
    let (status, problem) = ask(&site, "a", json!({ "tables": ["customer_trusted"] })).await;
    assert_eq!((status, &problem["code"]), (422, &json!("idempotency_key_reused")));
    let (_, other) = ask(&site, "b", json!({})).await;
    assert_ne!(other["id"], first["id"]);
    // At the same moment, too, and after another start.
    assert_eq!(site.serving.process.terminate(), Some(0));
    let site = Site::start(folder.path(), "").await;
    let asks = (0..8).map(|_| ask(&site, "a", json!({})));
    for (_, run) in futures::future::join_all(asks).await {
        assert_eq!(run["id"], first["id"]);
    }
    let list = site.serving.json("/v1/promotions").await;
    assert_eq!(list["promotions"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_tell_it_all_and_end_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::troubled(folder.path(), "").await;
    site.load_numbers(40).await;
    let run = site.ask(&["slow", "good"]).await;
    let id = run["id"].as_str().unwrap();
    let url = format!("{}/v1/promotions/{id}/events", site.serving.url);
    let token = site.serving.token(Role::Admin, "admin");
    let answer = site.http().get(url).bearer_auth(token).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let text = answer.text().await.unwrap();
    let events: Vec<Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    let last = events.last().unwrap();
    assert_eq!(last["state"], "succeeded");
    assert_eq!(*last, site.run(id).await);
    let running = events.iter().rev().skip(1);
    assert!(
        running.clone().all(|run| ["queued", "running"].contains(&run["state"].as_str().unwrap()))
    );
}
