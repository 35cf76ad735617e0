//! A manifest may come from anywhere: nothing is written outside of the folder, or without a check.

use std::os::unix::fs::symlink;

use serde_json::{Value, json};
use stedi_client::PullError;

use super::stand_in::{StandIn, sha256};
use super::{pulled, quick};

/// Serves a manifest that was changed, with the id that goes with it.
fn changed(server: &StandIn, name: &str, change: impl FnOnce(&mut Value)) -> String {
    let id = server.add(name, &[("t/a.parquet", b"abc".to_vec())]);
    let mut manifest = server.manifest(&id);
    change(&mut manifest);
    let mut covered = manifest.clone();
    for field in ["id", "name", "superseded_by"] {
        covered.as_object_mut().unwrap().remove(field);
    }
    let id = sha256(&serde_json_canonicalizer::to_vec(&covered).unwrap());
    manifest["id"] = json!(id);
    server.put(name, &id, manifest);
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_that_lead_out_of_the_folder_are_refused() {
    let server = StandIn::start().await;
    let above = tempfile::tempdir().unwrap();
    let paths = [
        "../out.parquet",
        "t/../../out.parquet",
        "/tmp/stedi-out.parquet",
        "t//a",
        "./a",
        "t\\..\\a",
        "snapshot.lock",
        "manifest.json",
        ".stedi/a",
        "",
    ];
    for (number, path) in paths.iter().enumerate() {
        let name = format!("hostile-{number}");
        changed(&server, &name, |it| it["tables"][0]["files"][0]["path"] = json!(path));
        let folder = above.path().join("in");
        let error = pulled(&server, &quick(&name, &folder)).await.unwrap_err();
        assert!(matches!(error, PullError::Path(_)), "{path}: {error}");
    }
    assert!(server.asked().is_empty());
    let left: Vec<_> = std::fs::read_dir(above.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn links_in_the_folder_are_not_written_through() {
    let server = StandIn::start().await;
    server.add("gait", &[("t/a.parquet", b"abc".to_vec())]);
    let outside = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    symlink(outside.path(), folder.path().join("t")).unwrap();
    let error = pulled(&server, &quick("gait", folder.path())).await.unwrap_err();
    assert!(matches!(error, PullError::InTheWay(_)), "{error}");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("target"), "x").unwrap();
    std::fs::create_dir(folder.path().join("t")).unwrap();
    symlink(outside.path().join("target"), folder.path().join("t/a.parquet")).unwrap();
    let error = pulled(&server, &quick("gait", folder.path())).await.unwrap_err();
    assert!(matches!(error, PullError::InTheWay(_)), "{error}");
    let folder = tempfile::tempdir().unwrap();
    symlink(outside.path(), folder.path().join(".stedi")).unwrap();
    let error = pulled(&server, &quick("gait", folder.path())).await.unwrap_err();
    assert!(matches!(error, PullError::InTheWay(_)), "{error}");
    assert_eq!(std::fs::read(outside.path().join("target")).unwrap(), b"x");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_is_not_what_its_id_says_is_refused() {
    let server = StandIn::start().await;
    let id = server.add("gait", &[("t/a.parquet", b"abc".to_vec())]);
    let good = server.manifest(&id);
    let refused = async |why: &str, asked: &str| {
        let folder = tempfile::tempdir().unwrap();
        let error = pulled(&server, &quick(asked, folder.path())).await.unwrap_err();
        assert!(matches!(error, PullError::Manifest(_)), "{why}: {error}");
    };
    let mut rows = good.clone();
    rows["tables"][0]["rows"] = json!(2);
    server.put("gait", &id, rows);
    refused("other rows", "gait").await;
    // A name may change, and what the id does not cover is not looked at.
    let mut renamed = good.clone();
    renamed["name"] = json!("other");
    server.put("gait", &id, renamed);
    let folder = tempfile::tempdir().unwrap();
    pulled(&server, &quick("gait", folder.path())).await.unwrap();
    // A right manifest, and not the one that was asked for.
    let other = server.add("other", &[("t/b.parquet", b"xyz".to_vec())]);
    server.put("gait", &id, server.manifest(&other));
    refused("another id", &id).await;
    changed(&server, "twice", |it| {
        let file = it["tables"][0]["files"][0].clone();
        it["tables"][0]["files"].as_array_mut().unwrap().push(file);
    });
    refused("a path twice", "twice").await;
    changed(&server, "digest", |it| it["tables"][0]["files"][0]["sha256"] = json!("../../x"));
    refused("no digest", "digest").await;
    changed(&server, "format", |it| it["format"] = json!("stedi-snapshot/2"));
    refused("another format", "format").await;
}
