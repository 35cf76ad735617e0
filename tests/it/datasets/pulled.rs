//! Snapshots as their users get them: by the command, and by a library that knows Croissant.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use stedi_server::auth::Role;

use super::{QUICK, Site};
use crate::support::{client, python};

impl Site {
    /// Runs `stedi snapshot …` as a trainer.
    pub(super) async fn command(&self, arguments: &[&str]) -> Output {
        let mut command = client();
        let token = self.serving.token(Role::Trainer, "trainer");
        command.args(["--server", &self.serving.url, "--token", &token, "snapshot"]);
        command.args(arguments);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }
}

fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

/// Parquet files below a folder, by path.
fn parquet(folder: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(parquet(&path));
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            files.push(path.to_str().unwrap().to_owned());
        }
    }
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_makes_pulls_and_verifies_one() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), QUICK).await;
    site.customers(&["ada", "bob"], 1..20).await;
    site.customers(&["cyd", "dee"], 1..20).await;
    let made = site.command(&["create", "--name", "set"]).await;
    assert!(made.status.success(), "{}", said(&made));
    let out = folder.path().join("set");
    let out = out.to_str().unwrap();
    let pulled = site.command(&["pull", "set", "--out", out]).await;
    assert!(pulled.status.success(), "{}", said(&pulled));
    let (_, manifest) = site.get("/v1/snapshots/set").await;
    let files = parquet(Path::new(out));
    assert_eq!(files.len(), manifest["tables"][0]["files"].as_array().unwrap().len());
    let verified = site.command(&["verify", out]).await;
    assert!(verified.status.success(), "{}", said(&verified));
    // Somebody goes: it is said, and what is fetched is what changed.
    let request = site.ask(Role::Admin, "POST", "/v1/revocations");
    let (_, asked) = site.answer(request.json(&json!({ "email": "cyd@set" }))).await;
    let ended = site.ended("revocations", asked["id"].as_str().unwrap()).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let refused = site.command(&["pull", "set", "--out", out]).await;
    assert_eq!(refused.status.code(), Some(3), "{}", said(&refused));
    let accepted = site.command(&["pull", "set", "--out", out, "--accept-redaction"]).await;
    assert!(accepted.status.success(), "{}", said(&accepted));
    let verified = site.command(&["verify", out]).await;
    assert!(verified.status.success(), "{}", said(&verified));
    let now = parquet(Path::new(out));
    let same = now.iter().filter(|file| files.contains(file)).count();
    assert!(same > 0 && same < files.len(), "{files:?} {now:?}");
    let listed = site.command(&["list"]).await;
    let (_, successor) = site.get("/v1/snapshots/set").await;
    let id = successor["id"].as_str().unwrap();
    assert!(said(&listed).contains(&id[..12]), "{}", said(&listed));
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(python_readers), ignore = "mlcroissant is not installed; tests/run installs it")]
async fn croissant_is_valid_and_loads_it() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), QUICK).await;
    site.customers(&["ada", "bob"], 1..20).await;
    site.customers(&["cyd"], 1..20).await;
    site.snapshot(json!({ "name": "set" })).await;
    let out = folder.path().join("set");
    let out = out.to_str().unwrap();
    let pulled = site.command(&["pull", "set", "--out", out]).await;
    assert!(pulled.status.success(), "{}", said(&pulled));
    let request = site.ask(Role::Trainer, "GET", "/v1/snapshots/set/croissant");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/ld+json");
    // A set of files is looked for below the folder that its description lies in.
    let file = Path::new(out).join("croissant.json");
    std::fs::write(&file, answer.bytes().await.unwrap()).unwrap();
    let arguments = [file.to_str().unwrap(), out, "machine_learning_curated", "x"];
    let found: Value = serde_json::from_str(&python("croissant.py", &arguments, &[])).unwrap();
    assert_eq!(found, json!({ "errors": [], "warnings": [], "rows": 57, "sum": 28.5 }), "{found}");
}
