//! Files that lie in a folder are imported, each once, whatever becomes of the server.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stedi_server::auth::Role;

use crate::support::Serving;

const TABLE: &str = "step_trainer_landing";

fn steps(from: usize, count: usize) -> String {
    let step = |time| {
        format!(r#"{{"sensorReadingTime":{time},"serialNumber":"d","distanceFromObject":1}}"#)
    };
    (from..from + count).map(|time| step(time + 1) + "\n").collect()
}

async fn serving(folder: &Path, more: &str) -> Serving {
    let from = folder.join("incoming");
    std::fs::create_dir_all(&from).unwrap();
    let toml = format!("[landing]\nimport_from = [{from:?}]\nimport_lease_seconds = 2\n{more}");
    Serving::start(folder, &toml).await
}

async fn post(serving: &Serving, path: &str, body: &Value) -> (u16, Value) {
    let token = serving.token(Role::Ingest, "loader");
    let request = serving.http.post(format!("{}{path}", serving.url)).bearer_auth(token);
    let answer = request.header("prefer", "wait=30").json(body).send().await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap())
}

async fn import(serving: &Serving, source: &Path) -> Value {
    let path = format!("/v1/landing/{TABLE}/imports");
    let (status, import) = post(serving, &path, &json!({ "source": source })).await;
    assert_eq!(status, 200, "{import}");
    import
}

async fn rows(serving: &Serving) -> Value {
    let sql = json!({ "sql": format!("SELECT count(*) FROM {TABLE}") });
    let token = serving.token(Role::Admin, "admin");
    let request = serving.http.post(format!("{}/v1/sql", serving.url)).bearer_auth(token);
    request.json(&sql).send().await.unwrap().json::<Value>().await.unwrap()["rows"][0][0].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_loaded_is_not_loaded_again() {
    let folder = tempfile::tempdir().unwrap();
    let incoming = folder.path().join("incoming");
    let serving = serving(folder.path(), "body_bytes = 20000\n").await;
    std::fs::create_dir_all(incoming.join("2026/11")).unwrap();
    std::fs::write(incoming.join("a.json"), steps(0, 10) + "{\"broken\":1}\n").unwrap();
    std::fs::write(incoming.join("2026/11/b.json"), steps(10, 5)).unwrap();
    std::fs::write(incoming.join("2026/11/same.json"), steps(10, 5)).unwrap();
    std::fs::write(incoming.join("_SUCCESS"), "x").unwrap();
    std::fs::write(incoming.join("empty.json"), "").unwrap();
    let first = import(&serving, &incoming).await;
    assert_eq!(first["state"], "succeeded", "{first}");
    for (key, value) in [
        ("files", 3),
        ("files_done", 3),
        ("files_skipped", 0),
        ("received", 21),
        ("accepted", 15),
        ("rejected", 1),
        ("duplicate", 5),
    ] {
        assert_eq!(first[key], value, "{key}: {first}");
    }
    let id = first["id"].as_str().unwrap();
    let token = serving.token(Role::Ingest, "loader");
    let url = format!("{}/v1/landing/{TABLE}/imports/{id}", serving.url);
    let get = async |path: &str| {
        let request = serving.http.get(format!("{url}{path}")).bearer_auth(&token);
        request.send().await.unwrap().text().await.unwrap()
    };
    assert_eq!(serde_json::from_str::<Value>(&get("").await).unwrap(), first);
    let events = get("/events").await;
    assert!(events.starts_with("event: import\ndata: {"), "{events}");

    // Nothing is read again, but what changed and what is new.
    let again = import(&serving, &incoming).await;
    assert_eq!((&again["files_skipped"], &again["received"]), (&json!(3), &json!(0)), "{again}");
    std::fs::write(incoming.join("a.json"), steps(0, 10) + &steps(100, 2)).unwrap();
    std::fs::write(incoming.join("huge.json"), steps(200, 400)).unwrap();
    std::fs::write(incoming.join("last.json"), steps(900, 1)).unwrap();
    let more = import(&serving, &incoming).await;
    assert_eq!((&more["files_skipped"], &more["accepted"]), (&json!(2), &json!(13)), "{more}");
    // What could not be loaded hides nothing else.
    assert_eq!((&more["state"], &more["files_done"]), (&json!("failed"), &json!(5)));
    let failures = more["failures"].as_array().unwrap();
    assert_eq!(failures.len(), 1, "{more}");
    assert_eq!(failures[0]["file"], "huge.json");
    assert_eq!(failures[0]["error"]["code"], "body_too_large");
    assert_eq!(rows(&serving).await, 15 + 13);
    // Each file that was read is a record of the audit, as its loader's.
    let audit = serving.json("/v1/audit?action=load").await;
    let records = audit["records"].as_array().unwrap();
    assert_eq!(records.len(), 3 + 3, "{audit}");
    assert!(records.iter().all(|record| record["principal"] == "loader"), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_from_where_it_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let serving = serving(folder.path(), "").await;
    for source in ["/etc", "/", "", "../", "s3://somewhere/else", "file:///etc", "incoming/../.."] {
        let path = format!("/v1/landing/{TABLE}/imports");
        let (status, problem) = post(&serving, &path, &json!({ "source": source })).await;
        let refused = (status, problem["code"].as_str().unwrap());
        assert_eq!(refused, (403, "source_not_allowed"), "{source}");
    }
    let incoming = folder.path().join("incoming");
    for (table, body, status, code) in [
        ("customer_trusted", json!({ "source": incoming }), 404, "table_not_found"),
        (TABLE, json!({ "source": 1 }), 400, "malformed"),
        (TABLE, json!({}), 400, "malformed"),
    ] {
        let (found, problem) = post(&serving, &format!("/v1/landing/{table}/imports"), &body).await;
        assert_eq!((found, problem["code"].as_str().unwrap()), (status, code), "{body}");
    }
    let (status, import) = {
        let token = serving.token(Role::Ingest, "loader");
        let url =
            format!("{}/v1/landing/{TABLE}/imports/0123456789abcdef0123456789abcdef", serving.url);
        let answer = serving.http.get(url).bearer_auth(token).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    assert_eq!((status, &import["code"]), (404, &json!("import_not_found")));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_goes_on_where_a_killed_one_was() {
    let folder = tempfile::tempdir().unwrap();
    let one = serving(folder.path(), "").await;
    let other = serving(folder.path(), "").await;
    let incoming = folder.path().join("incoming");
    for file in 0..40 {
        std::fs::write(incoming.join(format!("{file:03}.json")), steps(file * 10, 10)).unwrap();
    }
    let token = one.token(Role::Ingest, "loader");
    let request = one.http.post(format!("{}/v1/landing/{TABLE}/imports", one.url));
    let asked = request.bearer_auth(token).json(&json!({ "source": incoming }));
    let asked: Value = asked.send().await.unwrap().json().await.unwrap();
    let path = format!("/v1/landing/{TABLE}/imports/{}", asked["id"].as_str().unwrap());
    let started = Instant::now();
    while rows(&other).await == 0 {
        assert!(started.elapsed() < Duration::from_secs(60));
    }
    one.process.kill();
    let run = loop {
        let run = other.json(&path).await;
        if run["state"] == "succeeded" {
            break run;
        }
        assert!(started.elapsed() < Duration::from_secs(90), "{run}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    // Each file counts once, also the one that was loaded and not told of.
    assert_eq!((&run["files_done"], &run["files"]), (&json!(40), &json!(40)), "{run}");
    let known = run["files_skipped"].as_u64().unwrap();
    assert_eq!(run["accepted"].as_u64().unwrap() + 10 * known, 400, "{run}");
    assert!(known <= 40 && run["duplicate"] == 0, "{run}");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(rows(&other).await, 400);
}
