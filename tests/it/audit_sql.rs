//! Each statement leaves one record in the audit, without its literals.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use stedi_server::auth::Role;

use crate::support::{Serving, TestLake, TestServer, answered, endless, many};
use crate::writers::share_keys;

const SECRET: &str = "canary.lovelace@example.com";

/// The records of statements and results, oldest first, once there are so many.
async fn records(server: &TestServer, count: usize) -> Vec<Value> {
    let (token, began) = (server.token(Role::Admin), Instant::now());
    loop {
        let (_, page) = server.json("/v1/audit?limit=100", Some(&token)).await;
        let mut records = page["records"].as_array().unwrap().clone();
        records.retain(|record| record["action"] != "audit");
        records.reverse();
        if records.len() >= count {
            assert_eq!(records.len(), count, "{records:#?}");
            return records;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{records:#?}");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_statement_has_one_record() {
    let lake = TestLake::filled().await;
    let state_dir = lake.config.state_dir.join("server");
    std::fs::create_dir_all(&state_dir).unwrap();
    let config = stedi_server::config::Config { state_dir, ..lake.config.clone() };
    share_keys(&lake.config.state_dir, &config.state_dir);
    let server = TestServer::start(&config).await;
    let token = server.token(Role::Analyst);
    let sql =
        format!("SELECT serialnumber, '{SECRET}' FROM machine_learning_curated WHERE x > -99");
    let ok = server.sql(Role::Analyst, &sql).await;
    let again = server.statement(Role::Analyst, &sql).header("if-none-match", ok.header("etag"));
    assert_eq!(answered(again).await.status, 304);
    let failed = format!("SELECT CAST('{SECRET}' AS BIGINT)");
    assert_eq!(server.sql(Role::Analyst, &failed).await.status, 422);
    let bound = "SELECT count(*) FROM customer_curated VERSION AS OF 0 WHERE serialnumber = $1";
    assert_eq!(server.bound(Role::Analyst, bound, json!([SECRET])).await.rows(), json!([[0]]));
    // Before its first byte, and behind it.
    let early = tokio::spawn(server.statement(Role::Analyst, &endless()).send());
    server.until_going_on((1, 0)).await;
    early.abort();
    server.until_going_on((0, 0)).await;
    let late = format!("SELECT n, repeat(s, 1000) FROM ({})", many(100_000));
    drop(server.statement(Role::Analyst, &late).send().await.unwrap());
    server.until_going_on((0, 0)).await;
    let asked = server.post_sql("/v1/statements", Role::Analyst, &sql).header("prefer", "wait=10");
    let asked = answered(asked).await.json();
    let path = format!("/v1/statements/{}/result", asked["id"].as_str().unwrap());
    let chunk = answered(server.request(Method::GET, &path, Some(&token))).await;
    assert_eq!(chunk.status, 200);

    let records = records(&server, 8).await;
    let seen: Vec<_> = records
        .iter()
        .map(|r| json!([r["action"], r["outcome"], r["code"], r["tables"]]))
        .collect();
    let read = json!({ "machine_learning_curated": 1 });
    assert_eq!(
        seen,
        [
            json!(["sql", "ok", null, read]),
            json!(["sql", "ok", null, read]),
            json!(["sql", "failed", "statement_failed", {}]),
            json!(["sql", "ok", null, { "customer_curated": 0 }]),
            json!(["sql", "cancelled", "cancelled", {}]),
            json!(["sql", "cancelled", "cancelled", {}]),
            json!(["statement", "ok", null, {}]),
            json!(["result", "ok", null, read]),
        ]
    );
    for record in &records {
        assert_eq!((&record["principal"], &record["roles"]), (&json!("test"), &json!("analyst")));
        assert!(!record.to_string().contains("canary"), "{record}");
        let statement = record["statement"].as_str().unwrap_or_default();
        assert_eq!(statement.is_empty(), record["action"] == "result", "{record}");
    }
    let out = |at: usize| (records[at]["rows_out"].clone(), records[at]["bytes_out"].clone());
    assert_eq!(out(0), (json!(5), json!(ok.body.len())));
    assert_eq!(records[0]["id"], ok.header("stedi-statement-id"));
    assert_eq!(out(1), (json!(0), json!(0)));
    assert_eq!(out(7), (json!(5), json!(chunk.body.len())));
    // What had left before the break.
    assert!(records[5]["rows_out"].as_u64().unwrap() > 0, "{}", records[5]);
    assert!(records[5]["bytes_out"].as_u64().unwrap() > 100_000, "{}", records[5]);
    // The same literal is seen to be the same.
    assert_eq!(records[0]["statement"], records[1]["statement"]);
    assert_eq!(records[0]["statement"], records[6]["statement"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_the_server_did_not_survive_is_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path(), "").await;
    let sql = format!("SELECT n, repeat(s, 1000) FROM ({})", many(100_000));
    let request = serving.http.post(format!("{}/v1/sql", serving.url)).body(sql);
    let request = request.bearer_auth(serving.token(Role::Analyst, "ada"));
    let mut answer = request.header("content-type", "text/plain").send().await.unwrap();
    assert!(answer.chunk().await.unwrap().is_some());
    serving.process.kill();
    let serving = Serving::start(folder.path(), "").await;
    let page = serving.json("/v1/audit?action=sql").await;
    let records = page["records"].as_array().unwrap();
    assert_eq!(records.len(), 1, "{page}");
    assert_eq!(
        (&records[0]["outcome"], &records[0]["principal"]),
        (&json!("interrupted"), &json!("ada"))
    );
    assert_eq!(serving.json("/v1/audit/verify").await["ok"], true);
}
