//! What a store must do to hold a lake, and what is said where it does not.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Output;

use crate::support::{SeaweedFs, server};

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

/// A mock, since no real store that ignores conditional writes can be had here: it lists nothing
/// and takes every PUT, conditional or not.
#[test]
fn a_store_that_ignores_conditional_writes() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut buffer = [0; 16 * 1024];
            let read = stream.read(&mut buffer).unwrap_or_default();
            let body = match buffer[..read].starts_with(b"GET") {
                true => "<ListBucketResult><Name>bucket</Name></ListBucketResult>",
                false => "",
            };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nETag: \"x\"\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    let environment = [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "b"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    refused(&demo("s3://bucket/lake", &environment), "ignores conditional writes");
}
