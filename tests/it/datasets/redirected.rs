//! Files that the store gives instead of the server.

use std::time::{Duration, Instant};

use reqwest::redirect::Policy;
use serde_json::{Value, json};
use stedi_server::auth::Role;

use super::{QUICK, Site, sha256};
use crate::support::{SeaweedFs, Serving};

/// How long URLs hold, in seconds.
const HOLDS: u64 = 4;

impl Site {
    /// Its answer to who asks for a file and does not follow it.
    async fn redirected(&self, path: &str) -> (u16, Option<String>) {
        let http = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
        let token = self.serving.token(Role::Trainer, "trainer");
        let request = http.get(format!("{}{path}", self.serving.url)).bearer_auth(token);
        let answer = request.send().await.unwrap();
        let location = answer.headers().get("location").map(|url| url.to_str().unwrap().to_owned());
        (answer.status().as_u16(), location)
    }
}

fn file(manifest: &Value) -> (String, String) {
    let sha256 = manifest["tables"][0]["files"][0]["sha256"].as_str().unwrap();
    let id = manifest["id"].as_str().unwrap();
    (format!("/v1/snapshots/{id}/files/{sha256}"), sha256.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(seaweedfs), ignore = "SeaweedFS is not installed; tests/run installs it")]
async fn an_acknowledgement_waits_for_the_last_url_of_the_store() {
    let store = SeaweedFs::start();
    let folder = tempfile::tempdir().unwrap();
    let toml = format!(
        "storage = \"s3://lake/redirected\"\n{QUICK}[snapshot]\nredirect_seconds = {HOLDS}\n\
         [sharing]\nredirect_seconds = {HOLDS}\n"
    );
    let serving = Serving::start_with(folder.path(), &toml, |command| {
        command.envs(store.environment());
    });
    let site = Site { serving: serving.await };
    site.customers(&["ada", "bob"], 1..20).await;
    let manifest = site.snapshot(json!({})).await;
    let (path, digest) = file(&manifest);
    // Not unless it is asked for, and said in a way that is known.
    assert_eq!(site.redirected(&path).await, (200, None));
    assert_eq!(site.redirected(&format!("{path}?redirect=0")).await, (200, None));
    assert_eq!(site.redirected(&format!("{path}?redirect=2")).await, (400, None));
    let revoke = |email: &str| {
        site.ask(Role::Admin, "POST", "/v1/revocations").json(&json!({ "email": email }))
    };
    let (status, first) = site.answer(revoke("bob@set")).await;
    assert_eq!(status, 202, "{first}");
    let ended = site.ended("revocations", first["id"].as_str().unwrap()).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");

    let (_, manifest) = site.get("/v1/snapshots/latest").await;
    let (path, other) = file(&manifest);
    assert_ne!(other, digest);
    let (status, url) = site.redirected(&format!("{path}?redirect=1")).await;
    let url = url.unwrap();
    assert_eq!(status, 307);
    assert!(url.starts_with(&store.endpoint()), "{url}");
    assert!(url.contains(&format!("X-Amz-Expires={HOLDS}")), "{url}");
    // It needs no token, gives the bytes, and is written nowhere.
    let fetch = async || {
        let answer = reqwest::get(&url).await.unwrap();
        (answer.status().as_u16(), answer.bytes().await.unwrap())
    };
    let (status, bytes) = fetch().await;
    assert_eq!((status, sha256(&bytes)), (200, other));
    let began = Instant::now();
    let (status, second) = site.answer(revoke("ada@set")).await;
    assert_eq!(status, 202, "{second}");
    // Who asked is told when it is acknowledged, here or by whoever carries it out.
    let path_of = format!("/v1/revocations/{}", second["id"].as_str().unwrap());
    while site.serving.json(&path_of).await["acknowledged"].is_null() {
        assert!(began.elapsed() < Duration::from_secs(60), "{second}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // It waited, and the URL gives nothing any more.
    assert!(began.elapsed() >= Duration::from_secs(HOLDS), "{:?}", began.elapsed());
    let (status, _) = fetch().await;
    assert_eq!(status, 403);
    // No new one is given.
    let (status, url) = site.redirected(&format!("{path}?redirect=1")).await;
    assert!([410, 503].contains(&status) && url.is_none(), "{status} {url:?}");
}
