//! What a store must do to hold a lake, and what is said where it does not.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Output;

use serde_json::{Value, json};
use stedi_server::auth::Role;

use crate::datasets::{QUICK, Site};
use crate::support::{SeaweedFs, Serving, free_port, python, server};

fn demo(storage: &str, environment: &[(String, String)]) -> Output {
    let state = tempfile::tempdir().unwrap();
    server()
        .args(["demo", "--exit", "--scale", "0.01", "--storage", storage])
        .arg("--state-dir")
        .arg(state.path())
        .envs(environment.iter().cloned())
        .output()
        .unwrap()
}

fn refused(output: &Output, reason: &str) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "not refused: expected {reason:?}");
    assert!(text.contains(reason), "{text}");
    assert!(!text.contains("panicked"), "{text}");
}

#[test]
fn not_a_location() {
    refused(&demo("ftp://somewhere/", &[]), "not supported");
    refused(&demo("/dev/null/lake", &[]), "cannot be made");
}

#[test]
fn a_folder_that_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    // A file where the lake wants a folder: also root cannot write there.
    std::fs::write(folder.path().join("system"), "in the way").unwrap();
    refused(&demo(folder.path().to_str().unwrap(), &[]), "storage");
}

#[test]
#[cfg_attr(not(seaweedfs), ignore = "SeaweedFS is not installed; tests/run installs it")]
fn on_s3() {
    let s3 = SeaweedFs::start();
    let all = s3.environment();
    refused(&demo("s3://no-such-bucket/lake", &all), "no such bucket");
    refused(&demo("s3://lake/a", &s3.reader()), "permission denied");
    refused(&demo("s3://lake/a", &s3.environment_of("stedi-test", "wrong")), "permission denied");
    let output = demo("s3://lake/a/prefix", &all);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // One bucket holds several lakes.
    assert!(demo("s3://lake/b", &all).status.success());
}

/// A mock, since no real store without conditional writes can be had here: it lists nothing, and
/// answers every PUT, conditional or not, with the same.
fn mock(put: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut buffer = [0; 16 * 1024];
            let read = stream.read(&mut buffer).unwrap_or_default();
            let list = "200 OK\n<ListBucketResult><Name>bucket</Name></ListBucketResult>";
            let answer = if buffer[..read].starts_with(b"GET") { list } else { put };
            let (status, body) = answer.split_once('\n').unwrap();
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\nETag: \"x\"\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    endpoint
}

#[test]
fn a_store_without_conditional_writes_or_without_answers() {
    let unused = format!("http://127.0.0.1:{}", free_port());
    let not_implemented = "501 Not Implemented\n<Error><Code>NotImplemented</Code><Message>A header you \
                           provided implies functionality that is not implemented</Message></Error>";
    for (endpoint, reason) in [
        (mock("200 OK\n"), "ignores conditional writes"),
        (
            mock(not_implemented),
            "does not support conditional writes (If-None-Match: *): NotImplemented: A header",
        ),
        (unused, "does not answer"),
    ] {
        let environment = [
            ("AWS_ENDPOINT_URL", endpoint.as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_ACCESS_KEY_ID", "a"),
            ("AWS_SECRET_ACCESS_KEY", "b"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        refused(&demo("s3://bucket/lake", &environment), reason);
    }
}

/// The certificate of an erasure that has ended well.
async fn erased(site: &Site, email: &str) -> Value {
    let erasure = site.ask(Role::Admin, "POST", "/v1/erasures");
    let (status, erasure) = site.answer(erasure.json(&json!({ "email": email }))).await;
    assert_eq!(status, 202, "{erasure}");
    let id = erasure["id"].as_str().unwrap();
    let ended = site.ended("erasures", id).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    site.serving.json(&format!("/v1/erasures/{id}/certificate")).await
}

/// What docs/operations.md says is enough, is: also for what an erasure and its scan need.
#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(seaweedfs), ignore = "SeaweedFS is not installed; tests/run installs it")]
async fn least_privileges_are_enough() {
    let s3 = SeaweedFs::start();
    let output = demo("s3://lake/least", &s3.least());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    refused(&demo("s3://other/least", &s3.least()), "permission denied");
    let folder = tempfile::tempdir().unwrap();
    let toml = format!("storage = \"s3://lake/erased\"\n{QUICK}");
    let serving = Serving::start_with(folder.path(), &toml, |command| {
        command.envs(s3.least());
    });
    let site = Site { serving: serving.await };
    site.customers(&["ada", "bob"], 1..5).await;
    site.snapshot(json!({})).await;
    // The bucket was asked for old versions and unfinished uploads, too.
    let certificate = erased(&site, "ada@set").await;
    assert!(!certificate.to_string().contains("the store answers 403"), "{certificate}");
}

/// A server whose keys are in a file, as in docker/compose.yaml, on a bucket that keeps old versions: an
/// erasure removes those too, and its certificate leaves nothing out for them.
#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(
    not(all(seaweedfs, python_readers)),
    ignore = "SeaweedFS is not installed; tests/run installs it"
)]
async fn an_erasure_leaves_no_old_versions() {
    let s3 = SeaweedFs::start();
    python("s3.py", &["versioning", "lake"], &s3.environment());
    // The lake has the whole bucket, but not what others have in it.
    python("s3.py", &["put", "lake", "elsewhere/notes.txt", "theirs", "2"], &s3.environment());
    let folder = tempfile::tempdir().unwrap();
    let toml = format!("storage = \"s3://lake\"\n{QUICK}");
    let keys = folder.path().join("keys");
    let serving = Serving::start_with(folder.path(), &toml, |command| {
        let environment = s3.least();
        let key = |name: &str| &environment.iter().find(|(known, _)| known == name).unwrap().1;
        let (access, secret) = (key("AWS_ACCESS_KEY_ID"), key("AWS_SECRET_ACCESS_KEY"));
        let text =
            format!("[default]\naws_access_key_id = {access}\naws_secret_access_key = {secret}\n");
        std::fs::write(&keys, text).unwrap();
        let others = environment.iter().filter(|(name, _)| !name.contains("ACCESS_KEY"));
        command
            .envs(others.cloned())
            .env("AWS_SHARED_CREDENTIALS_FILE", &keys)
            .env("AWS_FORCE_CREDENTIAL_LOAD", "true");
    });
    let site = Site { serving: serving.await };
    site.customers(&["ada", "bob"], 1..5).await;
    // Its files are copies: the table has columns that no snapshot has.
    site.snapshot(json!({ "tables": ["customer_curated"] })).await;
    let kept = |below: &str| python("s3.py", &["kept", "lake", below], &s3.environment());
    let certificate = erased(&site, "ada@set").await;
    assert!(!certificate.to_string().contains("old versions"), "{certificate}");
    for zone in [
        "landing/",
        "trusted/",
        "curated/",
        "snapshots/",
        "system/revocations/sealed/",
        "system/deny/",
    ] {
        assert_eq!(kept(zone), "", "{zone}");
    }
    assert_eq!(kept("elsewhere/"), "Version elsewhere/notes.txt\n");
    let names = certificate["tables"].as_array().unwrap();
    assert!(!names.is_empty(), "{certificate}");
}
