//! How a snapshot is made, and what happens to it.

use serde_json::{Value, json};
use stedi_server::auth::Role;

use super::{QUICK, Site, sha256};
use crate::support::python;

#[tokio::test(flavor = "multi_thread")]
async fn it_stays_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), QUICK).await;
    site.customers(&["ada", "bob"], 1..20).await;
    let manifest = site.snapshot(json!({ "name": "first" })).await;
    let id = manifest["id"].as_str().unwrap();
    if cfg!(python_readers) {
        let file = folder.path().join("manifest.json");
        std::fs::write(&file, manifest.to_string()).unwrap();
        let computed = python("manifest_id.py", &[file.to_str().unwrap()], &[]);
        assert_eq!(computed.trim(), id);
    }
    let table = &manifest["tables"][0];
    assert_eq!((&table["table"], &table["rows"]), (&json!("machine_learning_curated"), &json!(38)));
    let split: u64 = table["splits"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    assert_eq!(split, 38, "{table}");
    let column = |name: &str| {
        let columns = table["schema"].as_array().unwrap();
        columns.iter().find(|column| column["name"] == name).unwrap().clone()
    };
    let x = column("x");
    assert_eq!((&x["min"], &x["max"], &x["mean"]), (&json!(0.5), &json!(0.5), &json!(0.5)), "{x}");
    assert!(column("subject_id")["min"].is_null() && column("subject_id")["class"] == "pseudonym");
    assert!(table["sql"].as_str().unwrap().contains("SELECT"));
    assert!(table["sources"]["step_trainer_trusted"].as_u64().is_some(), "{table}");

    let lake = folder.path().join(".stedi/lake");
    let files = site.files(&lake, &manifest);
    assert!(files.iter().all(|(digest, bytes)| sha256(bytes) == *digest));
    // By name, by id, and as the newest it is the same.
    for path in [id, "first", "latest"] {
        let (status, again) = site.get(&format!("/v1/snapshots/{path}")).await;
        assert_eq!((status, &again), (200, &manifest), "{path}");
    }
    // More rows, other files, nothing of the old left that nothing refers to.
    site.customers(&["cyd"], 1..20).await;
    site.customers(&["ada"], 20..30).await;
    let request = site.ask(Role::Admin, "POST", "/v1/maintenance").header("prefer", "wait=60");
    let (status, _) = site.answer(request.json(&json!({}))).await;
    assert_eq!(status, 200);
    let (status, purged) = site
        .answer(
            site.ask(Role::Admin, "POST", "/v1/revocations").json(&json!({ "email": "cyd@set" })),
        )
        .await;
    assert!([200, 202].contains(&status), "{purged}");
    site.ended("revocations", purged["id"].as_str().unwrap()).await;
    assert_eq!(site.files(&lake, &manifest), files);
    let second = site.snapshot(json!({})).await;
    assert_eq!(second["tables"][0]["rows"], 48);
    let (_, latest) = site.get("/v1/snapshots/latest").await;
    assert_eq!(latest["id"], second["id"]);
    let (_, list) = site.get("/v1/snapshots?limit=1").await;
    assert_eq!(list["snapshots"][0]["id"], second["id"]);
    let next = list["next"].as_str().unwrap();
    let (_, list) = site.get(&format!("/v1/snapshots?limit=1&before={next}")).await;
    assert_eq!((&list["snapshots"][0]["id"], &list["next"]), (&manifest["id"], &json!(null)));

    // What nobody needs any more may go.
    let (status, gone) = site.answer(site.ask(Role::Admin, "DELETE", "/v1/snapshots/first")).await;
    assert_eq!((status, &gone["id"]), (200, &manifest["id"]));
    assert_eq!(site.get("/v1/snapshots/first").await.0, 404);
    let pins = std::fs::read_dir(lake.join("system/pins")).unwrap().count();
    assert_eq!(pins, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn personal_columns_are_in_none() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), QUICK).await;
    site.customers(&["ada", "bob"], 1..5).await;
    let tables =
        json!({ "tables": ["customer_curated", "customer_trusted", "machine_learning_curated"] });
    let request = site.ask(Role::Trainer, "POST", "/v1/snapshots").json(&tables);
    // What a role does not see is not there.
    assert_eq!(site.answer(request).await.1["code"], "table_not_found");
    let request = site.ask(Role::Admin, "POST", "/v1/snapshots").json(&tables);
    let (status, manifest) = site.answer(request).await;
    assert_eq!(status, 201, "{manifest}");
    let lake = folder.path().join(".stedi/lake");
    let files = site.files(&lake, &manifest);
    assert!(files.len() >= 3);
    for (digest, bytes) in files {
        assert_eq!(sha256(&bytes), digest);
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("ada@set") && !text.contains("email"), "{digest}");
    }
    let id = manifest["id"].as_str().unwrap();
    assert_eq!(site.get(&format!("/v1/snapshots/{id}")).await.0, 404);
    let curated = site.snapshot(json!({ "tables": ["customer_curated"] })).await;
    let names: Vec<&str> = curated["tables"][0]["schema"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"subject_id") && !names.contains(&"email"), "{names:?}");
    assert_eq!(curated["tables"][0]["rows"], 2);
    // Its own files go with it.
    let own = || std::fs::read_dir(lake.join("snapshots")).unwrap().count();
    assert_eq!(own(), 2);
    let path = format!("/v1/snapshots/{}", curated["id"].as_str().unwrap());
    assert_eq!(site.answer(site.ask(Role::Trainer, "DELETE", &path)).await.0, 403);
    assert_eq!(site.answer(site.ask(Role::Admin, "DELETE", &path)).await.0, 200);
    assert_eq!(own(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_keys_and_what_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), QUICK).await;
    assert_eq!(site.get("/v1/snapshots/latest").await.0, 404);
    site.customers(&["ada"], 1..5).await;
    let create = |body: Value, key: &'static str| {
        let request = site.ask(Role::Trainer, "POST", "/v1/snapshots").json(&body);
        site.answer(request.header("idempotency-key", key))
    };
    let (status, first) = create(json!({ "name": "one" }), "k").await;
    assert_eq!(status, 201);
    assert_eq!(create(json!({ "name": "one" }), "k").await, (201, first.clone()));
    let (status, problem) = create(json!({ "name": "two" }), "k").await;
    assert_eq!((status, &problem["code"]), (422, &json!("idempotency_key_reused")));
    let (status, problem) = create(json!({ "name": "one" }), "l").await;
    assert_eq!((status, &problem["code"]), (409, &json!("name_taken")));
    for name in ["latest", "", "a b", "../x", &"a".repeat(65), &"0".repeat(64)] {
        let request =
            site.ask(Role::Trainer, "POST", "/v1/snapshots").json(&json!({ "name": name }));
        assert_eq!(site.answer(request).await.0, 400, "{name}");
    }
    for table in ["nothing", "customer_landing", "accelerometer_landing_rejected"] {
        let body = json!({ "tables": [table] });
        let request = site.ask(Role::Admin, "POST", "/v1/snapshots").json(&body);
        assert_eq!(site.answer(request).await.1["code"], "table_not_found", "{table}");
    }
    for role in [Role::Analyst, Role::Ingest] {
        assert_eq!(site.answer(site.ask(role, "GET", "/v1/snapshots")).await.0, 403);
    }
    // Nothing is left of what was refused.
    let (_, list) = site.get("/v1/snapshots").await;
    assert_eq!(list["snapshots"].as_array().unwrap().len(), 1, "{list}");
    assert_eq!(list["snapshots"][0]["id"], first["id"]);
    let pins = std::fs::read_dir(folder.path().join(".stedi/lake/system/pins")).unwrap();
    assert_eq!(pins.count(), 1);
}
