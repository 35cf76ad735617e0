//! A commit happens once, whatever the network and other servers do (invariant 2).

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::readers::{FIXTURE, counts};
use crate::support::{Fate, Proxy, SeaweedFs, fixture, python, server};

fn demo(state: &Path, source: &Path, environment: &[(String, String)]) -> Command {
    let mut command = server();
    command
        .args(["demo", "--exit", "--storage", "s3://lake/once", "--state-dir"])
        .arg(state)
        .arg("--source")
        .arg(source)
        .envs(environment.iter().cloned());
    command
}

fn run(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Every commit of the demo happens, and no answer of the first attempt arrives. The client of the
/// store repeats it and is told that the key is taken: by itself, which it cannot know.
#[test]
#[cfg_attr(
    not(all(seaweedfs, python_readers)),
    ignore = "SeaweedFS is not installed; tests/run installs it"
)]
fn a_commit_whose_answer_is_lost_happens_once() {
    let s3 = SeaweedFs::start();
    let direct = s3.environment();
    let lost = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = Arc::clone(&lost);
    let proxy = Proxy::start(&s3.endpoint(), move |request| {
        let commit = request.starts_with("PUT ") && request.contains("_delta_log/");
        match commit && seen.lock().unwrap().insert(request.to_owned()) {
            true => Fate::AnswerLost,
            false => Fate::Passed,
        }
    });
    let state = tempfile::tempdir().unwrap();
    let environment = proxy.through(&direct);
    let first = run(demo(state.path(), &fixture(), &environment));
    // What was done is what is told: a commit that was taken for a competitor's would be `nothing`.
    assert_eq!(first.matches("rebuild").count(), 5, "{first}");
    assert!(!first.contains("nothing"), "{first}");
    // Twelve tables, five loads, five promotions. The audit commits when its time has come.
    let pipeline =
        || lost.lock().unwrap().iter().filter(|request| !request.contains("/system/")).count();
    assert_eq!(pipeline(), 22, "{first}");
    assert_eq!(counts("count_deltalake.py", "s3://lake/once", &direct), FIXTURE);
    let second = run(demo(state.path(), &fixture(), &environment));
    assert!(!second.contains("rebuild"), "{second}");
    assert_eq!(pipeline(), 22, "{second}");
}

/// Another server loads the same content between a load's two commits, that of its rejects and that
/// of its rows: the rejects that both rely on must stay.
#[test]
#[cfg_attr(
    not(all(seaweedfs, python_readers)),
    ignore = "SeaweedFS is not installed; tests/run installs it"
)]
fn rejects_stay_when_another_server_commits_the_rows() {
    let s3 = SeaweedFs::start();
    let direct = s3.environment();
    let state = tempfile::tempdir().unwrap();
    let source = tempfile::tempdir().unwrap();
    std::fs::create_dir(source.path().join("customer")).unwrap();
    let text = "{\"email\":\"a@b\",\"lastUpdateDate\":1}\nbroken\n";
    std::fs::write(source.path().join("customer/1.json"), text).unwrap();

    let other = Mutex::new(demo(state.path(), source.path(), &direct));
    let between = Arc::new(AtomicBool::new(false));
    let done = Arc::clone(&between);
    let proxy = Proxy::start(&s3.endpoint(), move |request| {
        let rows = request.starts_with("PUT ")
            && request.contains("/customer_landing/_delta_log/00000000000000000001.json");
        if rows && !done.swap(true, Ordering::SeqCst) {
            assert!(other.lock().unwrap().output().unwrap().status.success());
        }
        Fate::Passed
    });
    run(demo(state.path(), source.path(), &proxy.through(&direct)));
    assert!(between.load(Ordering::SeqCst));
    let tables = ["landing/customer_landing", "landing/customer_landing_rejected"];
    let arguments = ["s3://lake/once", tables[0], tables[1]];
    let text = python("count_deltalake.py", &arguments, &direct);
    for (line, table) in text.lines().zip(tables) {
        assert!(line.starts_with(&format!("{table} 1 ")), "{text}");
    }
    assert_eq!(text.lines().count(), 2);
}
