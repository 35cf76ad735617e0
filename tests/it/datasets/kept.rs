//! What a snapshot refers to stays, whatever is done with its table, and goes when the snapshot has gone.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use stedi_server::auth::Role;

use super::{QUICK, Site};

const TABLE: &str = "machine_learning_curated";

/// Makes all files of a table two days old.
fn age(table: &Path) {
    let then = SystemTime::now() - Duration::from_secs(48 * 3600);
    for folder in
        [table, &table.join("_delta_log"), &table.join("_change_data"), &table.join("rewritten")]
    {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let file = std::fs::File::options().write(true).open(path).unwrap();
                file.set_modified(then).unwrap();
            }
        }
    }
}

/// The files that pins name.
fn pinned(lake: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(lake.join("system/pins")).unwrap() {
        let text = std::fs::read(entry.unwrap().path()).unwrap();
        let pin: Value = serde_json::from_slice(&text).unwrap();
        let files = pin["files"][TABLE].as_array().unwrap();
        names.extend(files.iter().map(|name| name.as_str().unwrap().to_owned()));
    }
    names
}

/// Whether a commit of the table took a file out.
fn is_removed(table: &Path, name: &str) -> bool {
    let log = std::fs::read_dir(table.join("_delta_log")).unwrap();
    log.map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "json"))
        .any(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            let removes = text.lines().filter(|line| line.starts_with("{\"remove\""));
            removes.into_iter().any(|line| line.contains(name))
        })
}

async fn maintain(site: &Site) {
    let request = site.ask(Role::Admin, "POST", "/v1/maintenance").header("prefer", "wait=60");
    let (status, run) = site.answer(request.json(&json!({ "tables": [TABLE] }))).await;
    assert_eq!((status, &run["state"]), (200, &json!("succeeded")), "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn compacted_aged_and_purged_away_it_is_there_until_the_snapshot_goes() {
    let folder = tempfile::tempdir().unwrap();
    let toml = QUICK.replace(
        "every_seconds = 0",
        "every_seconds = 0\nmin_files = 2\ncheckpoint_commits = 1\nfile_retention_hours = 1\n\
         log_retention_hours = 1\nfiles_every_hours = 0",
    );
    let site = Site::start(folder.path(), &toml).await;
    let lake = folder.path().join(".stedi/lake");
    let table = lake.join("curated").join(TABLE);
    site.customers(&["ada", "bob"], 1..20).await;
    let manifest = site.snapshot(json!({ "name": "first" })).await;
    let files = site.files(&lake, &manifest);
    let names = pinned(&lake);
    assert!(!names.is_empty());

    // The table has other files now, and is old.
    site.customers(&["cyd"], 1..20).await;
    maintain(&site).await;
    assert!(names.iter().all(|name| is_removed(&table, name)), "{names:?}");
    std::fs::write(table.join("part-stray.parquet"), "left behind").unwrap();
    // The version of an hour ago is one that came behind that, and has a checkpoint.
    site.customers(&["dan"], 1..20).await;
    maintain(&site).await;
    age(&table);
    site.customers(&["fay"], 1..20).await;
    maintain(&site).await;
    assert!(!table.join("part-stray.parquet").exists());
    assert!(names.iter().all(|name| !is_removed(&table, name)), "the log still knows them");
    // Now nothing but the pin keeps them.
    maintain(&site).await;
    assert_eq!(site.files(&lake, &manifest), files);

    // A purge takes all of the past, and not this.
    let revoked =
        site.ask(Role::Admin, "POST", "/v1/revocations").json(&json!({ "email": "dan@set" }));
    let (_, revocation) = site.answer(revoked).await;
    let ended = site.ended("revocations", revocation["id"].as_str().unwrap()).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    assert_eq!(site.files(&lake, &manifest), files);
    let (status, again) = site.get("/v1/snapshots/first").await;
    assert_eq!((status, &again), (200, &manifest));

    let delete = site.ask(Role::Admin, "DELETE", "/v1/snapshots/first");
    assert_eq!(site.answer(delete).await.0, 200);
    age(&table);
    site.customers(&["eve"], 1..20).await;
    maintain(&site).await;
    let left: Vec<_> = names.iter().filter(|name| table.join(name).exists()).collect();
    assert!(left.is_empty(), "{left:?}");
}
