//! Snapshots, and tables as they are shared, of a lake in a bucket.

use std::collections::BTreeSet;
use std::path::Path;

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use stedi_server::auth::Role;

use super::{QUICK, Site, sha256};
use crate::support::{SeaweedFs, Serving, client, python};

const ROOT: &str = "s3://lake/sets";

/// Status, bytes, and a header of an answer.
async fn fetched(request: RequestBuilder, header: &str) -> (u16, Vec<u8>, String) {
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let value = headers.get(header).map_or("", |value| value.to_str().unwrap()).to_owned();
    (status, answer.bytes().await.unwrap().to_vec(), value)
}

/// Where the files of a shared table are, and each one's size.
async fn shared(site: &Site, role: Role, table: &str) -> (u16, Vec<(String, u64)>) {
    let path = format!("/sharing/shares/stedi/schemas/curated/tables/{table}/query");
    let request = site.ask(role, "POST", &path).json(&json!({}));
    let (status, body, _) = fetched(request, "content-type").await;
    let lines = String::from_utf8(body).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let files = lines.filter_map(|line| {
        let file = line.get("file")?;
        Some((file["url"].as_str().unwrap().to_owned(), file["size"].as_u64().unwrap()))
    });
    (status, files.collect())
}

/// How many rows the client of those who made the protocol loads of a table.
async fn loaded(site: &Site, folder: &Path, table: &str) -> usize {
    let profile = folder.join("profile").to_str().unwrap().to_owned();
    let mut command = client();
    command.args(["--server", &site.serving.url, "share", "profile", "--out", &profile]);
    command.env("STEDI_TOKEN", site.serving.token(Role::Trainer, "trainer"));
    let table = format!("stedi.curated.{table}");
    let run = tokio::task::spawn_blocking(move || {
        let made = command.output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        python("share.py", &["load", &profile, &table], &[])
    });
    let read: Value = serde_json::from_str(&run.await.unwrap()).unwrap();
    assert!(!read["columns"].as_array().unwrap().contains(&json!("email")), "{read}");
    read["rows"].as_array().unwrap().len()
}

/// Headers of requests for a file of so many bytes, and which bytes come with which status.
async fn in_ranges(ask: impl Fn() -> RequestBuilder, whole: &[u8]) {
    let end = whole.len();
    let (_, body, tag) = fetched(ask(), "etag").await;
    assert!(body == whole && tag.len() > 2);
    for (range, bytes) in [
        ("bytes=0-3".to_owned(), 0..4),
        ("bytes=-4".to_owned(), end - 4..end),
        (format!("bytes={}-", end / 2), end / 2..end),
        (format!("bytes=1-{}", end * 2), 1..end),
    ] {
        let part = ask().header("range", &range).header("if-range", &tag);
        let (status, body, given) = fetched(part, "content-range").await;
        assert_eq!(given, format!("bytes {}-{}/{end}", bytes.start, bytes.end - 1));
        assert!(status == 206 && body == whole[bytes], "{range}: {status}");
    }
    let other = ask().header("range", "bytes=0-3").header("if-range", "\"other\"");
    assert!(fetched(other, "etag").await.1 == whole);
    let beyond = ask().header("range", format!("bytes={end}-"));
    let (status, _, given) = fetched(beyond, "content-range").await;
    assert_eq!((status, given), (416, format!("bytes */{end}")));
    let known = fetched(ask().header("if-none-match", &tag), "etag").await;
    assert_eq!(known, (304, Vec::new(), tag));
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(
    not(all(seaweedfs, python_readers)),
    ignore = "SeaweedFS and the readers are not installed; tests/run installs them"
)]
async fn it_is_the_same_in_a_bucket() {
    let (s3, folder) = (SeaweedFs::start(), tempfile::tempdir().unwrap());
    let serving = Serving::start_with(folder.path(), QUICK, |command| {
        command.args(["--storage", ROOT]).envs(s3.environment());
    });
    let site = Site { serving: serving.await };
    site.customers(&["ada", "bob"], 1..20).await;
    site.customers(&["cyd", "dee"], 1..20).await;
    let people = site.snapshot(json!({ "tables": ["customer_curated"] })).await;
    let old = site.snapshot(json!({ "name": "set" })).await;
    let id = old["id"].as_str().unwrap();
    let file = folder.path().join("manifest.json");
    std::fs::write(&file, old.to_string()).unwrap();
    assert_eq!(python("manifest_id.py", &[file.to_str().unwrap()], &[]).trim(), id);

    // Bytes, whole and in part.
    let before = site.download(&old).await;
    assert!(before.len() > 1);
    let (digest, bytes) = before.iter().next().unwrap();
    let path = format!("/v1/snapshots/{id}/files/{digest}");
    in_ranges(|| site.ask(Role::Trainer, "GET", &path), bytes).await;
    let head = fetched(site.ask(Role::Trainer, "HEAD", &path), "content-length").await;
    assert_eq!(head, (200, Vec::new(), bytes.len().to_string()));
    site.download(&people).await;

    // Rows.
    let keys = site.keys(&[]).await;
    assert_eq!(keys.len(), 76);
    let mut parts = Vec::new();
    for split in ["train", "validation", "test"] {
        for shard in ["0/2", "1/2"] {
            let some = [("split", split), ("shard", shard), ("where", "sensorreadingtime < 11")];
            parts.extend(site.keys(&some).await);
        }
    }
    let distinct: BTreeSet<_> = parts.iter().collect();
    assert_eq!((parts.len(), distinct.len()), (40, 40));

    // By the command.
    let out = folder.path().join("set");
    let out = out.to_str().unwrap();
    for arguments in [&["pull", "set", "--out", out][..], &["verify", out]] {
        let output = site.command(arguments).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    // Shared: a file as it lies in the bucket, and one that is made without personal columns.
    assert_eq!(loaded(&site, folder.path(), "machine_learning_curated").await, 76);
    assert_eq!(loaded(&site, folder.path(), "customer_curated").await, 4);
    let mut urls = Vec::new();
    for table in ["machine_learning_curated", "customer_curated"] {
        for (url, size) in shared(&site, Role::Trainer, table).await.1 {
            let (status, whole, _) = fetched(site.serving.http.get(&url), "etag").await;
            assert_eq!((status, whole.len() as u64), (200, size));
            in_ranges(|| site.serving.http.get(&url), &whole).await;
            urls.push(url);
        }
    }
    assert!(urls.len() > 2);

    // Somebody goes.
    let request = site.ask(Role::Admin, "POST", "/v1/revocations");
    let (_, asked) = site.answer(request.json(&json!({ "email": "cyd@set" }))).await;
    assert!(asked["acknowledged"].as_i64().is_some(), "{asked}");
    for path in [path, format!("/v1/snapshots/{id}/data")] {
        let (status, ..) = fetched(site.ask(Role::Trainer, "GET", &path), "etag").await;
        assert!([410, 503].contains(&status), "{path}: {status}");
    }
    let ended = site.ended("revocations", asked["id"].as_str().unwrap()).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let (status, problem) = site.get(&format!("/v1/snapshots/{id}")).await;
    assert_eq!((status, &problem["code"]), (410, &json!("redacted")), "{problem}");
    let (_, new) = site.get("/v1/snapshots/set").await;
    assert_eq!((&new["id"], &new["redacts"]), (&problem["superseded_by"], &old["id"]));
    let after = site.download(&new).await;
    let same = after.keys().filter(|digest| before.contains_key(*digest)).count();
    assert!(same > 0 && same < before.len(), "{same} of {}", before.len());
    let pull = ["pull", "set", "--out", out];
    assert_eq!(site.command(&pull).await.status.code(), Some(3));
    for arguments in [&[&pull[..], &["--accept-redaction"]].concat()[..], &["verify", out]] {
        let output = site.command(arguments).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    for (digest, bytes) in &after {
        assert_eq!(sha256(bytes), *digest);
    }
    assert_eq!(loaded(&site, folder.path(), "machine_learning_curated").await, 57);
    let mut gone = 0;
    for url in &urls {
        let (status, ..) = fetched(site.serving.http.get(url), "etag").await;
        assert!([200, 404, 410].contains(&status), "{status}");
        gone += u32::from(status != 200);
    }
    assert!(gone > 0);
    // Another program finds nothing of her but what landed.
    let found = python("scan.py", &[ROOT, "serial-of-cyd"], &s3.environment());
    let found = found.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let objects: Vec<Value> = found.map(|line| line["object"].clone()).collect();
    let (looked_at, objects) = objects.split_last().unwrap();
    assert!(looked_at.is_null() && !objects.is_empty());
    let landed = |object: &&Value| !object.as_str().unwrap().starts_with("landing/");
    assert_eq!(objects.iter().find(landed), None);
}
