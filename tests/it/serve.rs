//! `stedi-server serve`: starts, is ready, stops.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
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
    let checked = |arguments: &[&str]| {
        let mut command = server();
        command.args(["healthcheck", "--listen", &address]).args(arguments);
        command.output().unwrap()
    };
    assert!(checked(&[]).status.success());
    // The lake is gone: alive, but not ready.
    std::fs::remove_dir_all(folder.path().join(".stedi/lake")).unwrap();
    let output = ready("1");
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("its lake does not answer"), "{errors}");
    let output = checked(&[]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && errors.contains("503"), "{errors}");
    assert!(checked(&["--live"]).status.success());

    let started = Instant::now();
    assert_eq!(running.terminate(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(10));
    for output in [ready("0"), checked(&["--live"])] {
        assert!(!output.status.success());
        assert!(String::from_utf8_lossy(&output.stderr).contains("no answer"), "{output:?}");
    }
}

#[test]
fn keys_are_made_once_in_a_folder_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    let run = |arguments: &[&str]| {
        let mut command = server();
        command.current_dir(folder.path()).args(arguments).arg("--keys-dir").arg(&keys);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(run(&["keys"]).matches("made ").count(), 4);
    let names = ["auth.key", "certificate.key", "subject.key", "suppression.keys"];
    let read = || names.map(|name| std::fs::read_to_string(keys.join(name)).unwrap());
    let made = read();
    for name in names {
        let mode = std::fs::metadata(keys.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert_eq!(run(&["keys"]).matches("kept ").count(), 4);
    // Nothing else is written there: servers may have it read-only.
    std::fs::set_permissions(&keys, Permissions::from_mode(0o500)).unwrap();
    run(&["demo", "--exit", "--scale", "0.01"]);
    assert!(!run(&["token", "--role", "admin"]).is_empty());
    assert_eq!(read(), made);
    assert_eq!(std::fs::read_dir(&keys).unwrap().count(), 4);
    let state = folder.path().join(".stedi");
    assert!(state.join("audit.key").exists() && names.iter().all(|it| !state.join(it).exists()));
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
