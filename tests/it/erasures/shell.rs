//! `stedi erase`, the events of an erasure, and what the audit says of it.

use serde_json::{Value, json};
use stedi_server::auth::Role;

use super::{QUICK, Site};
use crate::support::client;

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_from_the_shell() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), QUICK).await;
    site.customers(&["ada", "bob", "cyd", "kept"]).await;
    let run = |arguments: &[&str]| {
        let token = site.serving.token(Role::Admin, "admin");
        let mut command = client();
        command.args(["--server", &site.serving.url, "--token", &token]).args(arguments);
        let output = tokio::task::block_in_place(|| command.output().unwrap());
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    };
    // To its end.
    let arguments = ["--format", "json", "erase", "ada@rev", "--reason", "letter 7"];
    let (ended, json, said) = run(&arguments);
    assert!(ended, "{said}");
    let erasure: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&erasure["kind"], &erasure["reason"]), (&json!("erasure"), &json!("letter 7")));
    assert_eq!((&erasure["state"], &erasure["step"]), (&json!("succeeded"), &json!("done")));
    let id = erasure["id"].as_str().unwrap();
    assert!(said.starts_with(&format!("erasure {id}\n")), "{said}");
    assert!(said.contains("no read returns the rows"), "{said}");
    // Several, by their device as well, until nobody reads them.
    let (ended, table, said) =
        run(&["erase", "bob@rev", "--serialnumber", "serial-of-cyd", "--no-wait"]);
    assert!(ended && table.contains("rows before"), "{said}{table}");
    let left = site.sql("SELECT DISTINCT email FROM customer_landing").await;
    assert_eq!(left, json!([["kept@rev"]]));
    // What is refused says why.
    let (ended, _, said) = run(&["erase", "kept@rev", "--reason", "kept@rev asked"]);
    assert!(!ended && said.contains("malformed"), "{said}");
    let hold = json!({ "email": "kept@rev", "reason": "a claim" });
    let (status, _) = site.answer(site.post("/v1/legal-holds").json(&hold)).await;
    assert_eq!(status, 201);
    let (ended, _, said) = run(&["erase", "kept@rev"]);
    assert!(!ended && said.contains("legal_hold") && said.contains("a claim"), "{said}");

    let token = site.serving.token(Role::Admin, "admin");
    let events = format!("{}/v1/erasures/{id}/events", site.serving.url);
    let events = site.serving.http.get(events).bearer_auth(token).send().await.unwrap();
    let events = events.text().await.unwrap();
    assert!(events.starts_with("event: erasure\ndata: {"), "{events}");
    let (status, audit) = site.get("/v1/audit?action=consent&limit=100").await;
    assert_eq!(status, 200, "{audit}");
    let records = audit["records"].as_array().unwrap();
    let resources: Vec<&str> =
        records.iter().map(|record| record["resource"].as_str().unwrap()).collect();
    assert!(resources.contains(&"POST /v1/erasures"), "{resources:?}");
    assert!(resources.contains(&format!("erasure {id}").as_str()), "{resources:?}");
    assert!(!resources.iter().any(|it| it.starts_with("revocation ")), "{resources:?}");
}
