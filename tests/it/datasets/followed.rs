//! Snapshots that make themselves after promotions.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stedi_server::auth::Role;

use super::{QUICK, Site};

/// Ids of all snapshots, newest first, once there are so many.
async fn snapshots(site: &Site, many: usize) -> Vec<String> {
    let started = Instant::now();
    loop {
        let (_, page) = site.get("/v1/snapshots").await;
        let ids = page["snapshots"].as_array().unwrap().iter();
        let ids: Vec<String> = ids.map(|one| one["id"].as_str().unwrap().to_owned()).collect();
        if ids.len() >= many {
            return ids;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{page}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_follows_each_promotion_that_changes_its_tables() {
    let folder = tempfile::tempdir().unwrap();
    let toml = format!("{QUICK}[snapshot]\nafter_promotion = true\n");
    let site = Site::start(folder.path(), &toml).await;
    site.customers(&["ada"], 1..20).await;
    let first = snapshots(&site, 1).await;
    let (status, manifest) = site.get("/v1/snapshots/latest").await;
    assert_eq!((status, &manifest["created_by"]), (200, &json!("service")), "{manifest}");
    assert_eq!(manifest["tables"][0]["rows"], 19, "{manifest}");
    // Nothing changed: there is nothing to keep.
    site.promote().await;
    site.customers(&["bob"], 1..20).await;
    let second = snapshots(&site, 2).await;
    let (_, manifest) = site.get("/v1/snapshots/latest").await;
    assert_eq!(manifest["tables"][0]["rows"], 38, "{manifest}");
    assert_eq!(second[1..], first);
    // Another server of the lake, and one that starts anew, know what was followed.
    recorded(&site, 2).await;
    drop(site);
    let site = Site::start(folder.path(), &toml).await;
    site.promote().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(snapshots(&site, 2).await, second);
    // It is on record as what the service did.
    let page = recorded(&site, 2).await;
    let tables: &Value = &page["records"][0]["tables"];
    assert!(tables["machine_learning_curated"].as_u64().is_some(), "{page}");
}

/// The audit's records of snapshots that the service made, once there are so many.
async fn recorded(site: &Site, count: usize) -> Value {
    let began = Instant::now();
    loop {
        let request = site.ask(Role::Admin, "GET", "/v1/audit?action=snapshot&principal=service");
        let (status, page) = site.answer(request).await;
        let found = page["records"].as_array().map(Vec::len);
        if (status, found) == (200, Some(count)) {
            return page;
        }
        let soon = found < Some(count) && began.elapsed() < Duration::from_secs(30);
        assert!(status == 200 && soon, "{status} {page}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn none_does_where_nobody_asked_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), QUICK).await;
    site.customers(&["ada"], 1..20).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(snapshots(&site, 0).await, Vec::<String>::new());
}
