//! What a server knows of a snapshot from a moment ago never outlives a consent.

use std::time::Duration;

use serde_json::json;
use stedi_server::auth::Role;

use super::Site;
use crate::support::Serving;
use crate::writers::share_keys;

/// A moment is an hour.
const LONG: &str = "[consent]\ngrace_seconds = 0\nlease_seconds = 2\n[maintenance]\nevery_seconds = 0\n\
    [lake]\nstaleness_ms = 3600000\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_redacted_one_is_known_by_the_other_server_too() {
    let folder = tempfile::tempdir().unwrap();
    let [one, other, lake] = ["one", "other", "lake"].map(|name| folder.path().join(name));
    let start = async |folder: &std::path::Path| {
        std::fs::create_dir_all(folder).unwrap();
        let serving = Serving::start_with(folder, LONG, |command| {
            command.arg("--storage").arg(&lake);
        });
        Site { serving: serving.await }
    };
    let site = start(&one).await;
    site.customers(&["ada", "bob"], 1..20).await;
    let old = site.snapshot(json!({})).await;
    share_keys(&one.join(".stedi"), &other.join(".stedi"));
    let second = start(&other).await;
    let before = second.download(&old).await;
    site.download(&old).await;
    let id = old["id"].as_str().unwrap();
    let path = format!("/v1/snapshots/{id}/files/{}", before.keys().next().unwrap());
    let status = async |site: &Site, path: &str| {
        site.ask(Role::Trainer, "GET", path).send().await.unwrap().status().as_u16()
    };

    let request = site.ask(Role::Admin, "POST", "/v1/revocations");
    let (_, asked) = site.answer(request.json(&json!({ "email": "bob@set" }))).await;
    assert!(asked["acknowledged"].as_i64().is_some(), "{asked}");
    for server in [&site, &second] {
        assert!([410, 503].contains(&status(server, &path).await));
    }
    let ended = site.ended("revocations", asked["id"].as_str().unwrap()).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    for server in [&site, &second] {
        assert_eq!(status(server, &path).await, 410);
    }

    // Whoever deletes one gives nothing of it any more, though its files are there. The server's list is
    // the one without them by now.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let new = site.snapshot(json!({})).await;
    let after = site.download(&new).await;
    let new = new["id"].as_str().unwrap();
    let path = format!("/v1/snapshots/{new}/files/{}", after.keys().next().unwrap());
    let gone = site.ask(Role::Admin, "DELETE", &format!("/v1/snapshots/{new}"));
    assert!(gone.send().await.unwrap().status().is_success());
    assert_eq!(status(&site, &path).await, 404);
}
