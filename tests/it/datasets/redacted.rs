//! Snapshots whose rows are taken out when a consent ends.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stedi_server::auth::Role;

use super::{QUICK, Site, sha256};
use crate::support::holding;

impl Site {
    /// The files of a manifest as they are downloaded.
    pub(super) async fn download(&self, manifest: &Value) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        for table in manifest["tables"].as_array().unwrap() {
            for file in table["files"].as_array().unwrap() {
                let digest = file["sha256"].as_str().unwrap();
                let path =
                    format!("/v1/snapshots/{}/files/{digest}", manifest["id"].as_str().unwrap());
                let answer = self.ask(Role::Trainer, "GET", &path).send().await.unwrap();
                assert_eq!(answer.status(), 200, "{path}");
                let tag = answer.headers()["etag"].to_str().unwrap().to_owned();
                assert_eq!(tag, format!("\"{digest}\""));
                let bytes = answer.bytes().await.unwrap().to_vec();
                assert_eq!(sha256(&bytes), digest);
                assert_eq!(bytes.len() as u64, file["bytes"].as_u64().unwrap());
                files.insert(digest.to_owned(), bytes);
            }
        }
        files
    }
}

fn split_sizes(manifest: &Value) -> BTreeMap<String, u64> {
    let splits = manifest["tables"][0]["splits"].as_object().unwrap();
    splits.iter().map(|(name, rows)| (name.clone(), rows.as_u64().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_files_with_the_subject_are_rewritten() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), QUICK).await;
    // Each promotion makes files of its own.
    site.customers(&["ada", "bob"], 1..20).await;
    site.customers(&["cyd", "dee"], 1..20).await;
    let old = site.snapshot(json!({ "name": "set" })).await;
    let tables = json!({ "tables": ["customer_curated"] });
    let other = site.snapshot(tables).await;
    let before = site.download(&old).await;
    assert!(before.len() > 1);
    let id = old["id"].as_str().unwrap();

    let (status, asked) = site
        .answer(
            site.ask(Role::Admin, "POST", "/v1/revocations").json(&json!({ "email": "cyd@set" })),
        )
        .await;
    assert!([200, 202].contains(&status), "{asked}");
    assert!(asked["acknowledged"].as_i64().is_some(), "{asked}");
    // From the acknowledgement on nothing of the old one is given.
    let paths = [
        format!("/v1/snapshots/{id}/files/{}", before.keys().next().unwrap()),
        format!("/v1/snapshots/{id}/data"),
    ];
    for path in &paths {
        let status = site.ask(Role::Trainer, "GET", path).send().await.unwrap().status();
        assert!([410, 503].contains(&status.as_u16()), "{path}: {status}");
    }
    let ended = site.ended("revocations", asked["id"].as_str().unwrap()).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");

    let (status, problem) = site.get(&format!("/v1/snapshots/{id}")).await;
    assert_eq!((status, &problem["code"]), (410, &json!("redacted")), "{problem}");
    for path in &paths {
        let status = site.ask(Role::Trainer, "GET", path).send().await.unwrap().status();
        assert_eq!(status, 410, "{path}");
    }
    let (status, new) = site.get("/v1/snapshots/set").await;
    assert_eq!((status, &new["id"]), (200, &problem["superseded_by"]), "{new}");
    assert_eq!((&new["redacts"], &new["name"]), (&old["id"], &json!("set")));
    let after = site.download(&new).await;
    let same = after.keys().filter(|digest| before.contains_key(*digest)).count();
    assert!(same > 0 && same < before.len(), "{same} of {}", before.len());
    assert_eq!(new["tables"][0]["rows"], 57);
    // Nobody moved, and cyd's rows are gone from the split where they were.
    let (was, is) = (split_sizes(&old), split_sizes(&new));
    let less: Vec<u64> = was.iter().map(|(name, rows)| rows - is.get(name).unwrap_or(&0)).collect();
    assert_eq!(less.iter().sum::<u64>(), 19);
    assert!(less.iter().all(|rows| [0, 19].contains(rows)), "{was:?} {is:?}");
    // The one with a file of its own too.
    let (_, problem) = site.get(&format!("/v1/snapshots/{}", other["id"].as_str().unwrap())).await;
    let (_, other) =
        site.get(&format!("/v1/snapshots/{}", problem["superseded_by"].as_str().unwrap())).await;
    assert_eq!(other["tables"][0]["rows"], 3);
    site.download(&other).await;
    // Nothing of cyd is outside of landing, also in what snapshots left behind.
    let lake = folder.path().join(".stedi/lake");
    for zone in ["trusted", "curated", "system", "snapshots"] {
        let found = holding(&lake.join(zone), "serial-of-cyd");
        assert!(found.is_empty(), "{found:?}");
    }
    // It is said in the certificate, with whoever has to be told.
    let path = format!("/v1/revocations/{}/certificate", asked["id"].as_str().unwrap());
    let certificate = site.serving.json(&path).await;
    let redacted = certificate["snapshots"].as_array().unwrap();
    assert!(
        redacted.iter().any(|it| it["id"] == old["id"] && it["superseded_by"] == new["id"]),
        "{certificate}"
    );
    assert_eq!(certificate["recipients"], json!(["trainer"]), "{certificate}");
    // Old names and what came after: the list has the new ones only, in the old order.
    let (_, list) = site.get("/v1/snapshots").await;
    let ids: Vec<&Value> =
        list["snapshots"].as_array().unwrap().iter().map(|it| &it["id"]).collect();
    assert_eq!(ids, [&other["id"], &new["id"]], "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_without_the_subject_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), QUICK).await;
    site.customers(&["ada"], 1..20).await;
    let old = site.snapshot(json!({})).await;
    let before = site.download(&old).await;
    site.customers(&["bob"], 1..20).await;
    let both = site.snapshot(json!({})).await;
    let request =
        site.ask(Role::Admin, "POST", "/v1/erasures").json(&json!({ "email": "bob@set" }));
    let (_, asked) = site.answer(request).await;
    let ended = site.ended("erasures", asked["id"].as_str().unwrap()).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let (status, same) = site.get(&format!("/v1/snapshots/{}", old["id"].as_str().unwrap())).await;
    assert_eq!((status, &same), (200, &old));
    assert_eq!(site.download(&old).await, before);
    let (status, problem) =
        site.get(&format!("/v1/snapshots/{}", both["id"].as_str().unwrap())).await;
    assert_eq!(status, 410);
    let (_, new) =
        site.get(&format!("/v1/snapshots/{}", problem["superseded_by"].as_str().unwrap())).await;
    assert_eq!(new["tables"][0]["rows"], 19);
    assert_eq!(site.download(&new).await, before);
}
