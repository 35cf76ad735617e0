//! `stedi snapshot verify`: what is wrong in a folder is named, without a server.

use std::path::Path;

use serde_json::Value;

use super::stand_in::StandIn;
use super::{borrowed, files, pulled, quick};
use crate::support::{Dice, client};

/// The exit code, and what is wrong with what.
fn verified(folder: &Path) -> (Option<i32>, Vec<String>, String) {
    let mut command = client();
    // There is no server, and a wrong profile is none of its business.
    command.args(["--server", "http://127.0.0.1:9", "--profile", "none", "--format", "json"]);
    let output = command.args(["snapshot", "verify"]).arg(folder).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let faults = found["faults"].as_array().cloned().unwrap_or_default();
    let fault = |it: &Value| {
        let kind = it["kind"].as_object().map(|kind| kind.keys().next().unwrap().clone());
        let kind = kind.unwrap_or_else(|| it["kind"].as_str().unwrap().to_owned());
        format!("{} {kind}", it["path"].as_str().unwrap())
    };
    (output.status.code(), faults.iter().map(fault).collect(), errors)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_is_named() {
    let all = files(&mut Dice::new(11), &[3000, 4000, 5000, 6000]);
    let server = StandIn::start().await;
    let id = server.add("gait", &borrowed(&all));
    let folder = tempfile::tempdir().unwrap();
    pulled(&server, &quick("gait", folder.path())).await.unwrap();
    let path = folder.path();
    assert_eq!(verified(path), (Some(0), vec![], String::new()));

    let mut bytes = all[0].1.clone();
    bytes[2999] ^= 1;
    std::fs::write(path.join(&all[0].0), bytes).unwrap();
    std::fs::write(path.join(&all[1].0), "short").unwrap();
    std::fs::remove_file(path.join(&all[2].0)).unwrap();
    std::fs::rename(path.join(&all[3].0), path.join("elsewhere")).unwrap();
    std::os::unix::fs::symlink("../elsewhere", path.join(&all[3].0)).unwrap();
    std::fs::write(path.join("snapshot.lock"), "{}").unwrap();
    let (code, faults, errors) = verified(path);
    assert_eq!(code, Some(1));
    assert_eq!(
        faults,
        [
            "curated/part-00000.parquet digest",
            "curated/part-00001.parquet size",
            "curated/part-00002.parquet missing",
            "curated/part-00003.parquet not_a_file",
            "elsewhere extra",
            "snapshot.lock lock",
        ]
    );
    assert!(errors.contains("6 of the folder's files"), "{errors}");

    // A manifest that names the wrong bytes does not make them right: its id gives it away.
    let manifest = std::fs::read_to_string(path.join("manifest.json")).unwrap();
    let forged = manifest.replace("\"rows\":1,", "\"rows\":2,");
    assert_ne!(manifest, forged);
    std::fs::write(path.join("manifest.json"), forged).unwrap();
    let (code, _, errors) = verified(path);
    assert_eq!(code, Some(1));
    assert!(errors.contains(&id), "{errors}");
}
