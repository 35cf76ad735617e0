//! `stedi-server serve`: starts, is ready, stops.

use std::time::{Duration, Instant};

use stedi_openapi::VERSION;

use crate::support::{Running, client, free_port, server};

#[test]
fn is_ready_and_stops_on_sigterm() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("127.0.0.1:{}", free_port());
    let mut command = server();
    command.current_dir(folder.path()).args(["serve", "--listen", &address]);
    let running = Running::start(&mut command);
    let ready = |wait: &str| {
        let url = format!("http://{address}");
        client().args(["--server", &url, "ready", "--wait", wait]).output().unwrap()
    };
    assert!(ready("60").status.success());
    let version = |mut command: std::process::Command| {
        let output = command.arg("--version").output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(version(server()), format!("stedi-server {VERSION}"));
    assert_eq!(version(client()), format!("stedi {VERSION}"));
    // The lake is gone: alive, but not ready.
    std::fs::remove_dir_all(folder.path().join(".stedi/lake")).unwrap();
    let output = ready("1");
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("its lake does not answer"), "{errors}");

    let started = Instant::now();
    assert_eq!(running.terminate(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(10));
    let output = ready("0");
    assert!(String::from_utf8_lossy(&output.stderr).contains("no answer"), "{output:?}");
}

#[test]
fn a_port_that_is_taken_is_said_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for command in ["serve", "demo"] {
        let output = server()
            .current_dir(folder.path())
            .args([command, "--listen", &address])
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && errors.contains(&address), "{errors}");
    }
    assert!(!folder.path().join(".stedi/lake").exists());
}
