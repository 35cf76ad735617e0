//! `stedi-server demo`: the main job by one command.

use std::path::Path;
use std::process::Output;

use stedi_server::sample::Sample;

use crate::support::{fixture, server};

fn demo(folder: &Path, arguments: &[&str]) -> Output {
    server().current_dir(folder).args(["demo", "--exit"]).args(arguments).output().unwrap()
}

fn text(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The cells of the row that begins with these.
fn row(text: &str, begin: &str) -> Vec<String> {
    let begin: Vec<&str> = begin.split_whitespace().collect();
    text.lines()
        .map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .find(|cells| cells.len() > begin.len() && cells.iter().zip(&begin).all(|(a, b)| a == b))
        .unwrap_or_else(|| panic!("no row {begin:?} in {text}"))
}

#[test]
fn shows_every_table_and_an_answer_and_is_the_same_twice() {
    let folder = tempfile::tempdir().unwrap();
    let first = text(demo(folder.path(), &["--scale", "0.1"]));
    assert_eq!(row(&first, "customer_trusted")[1], "rebuild");
    assert!(row(&first, "curated machine_learning_curated")[2].parse::<u64>().unwrap() > 1000);
    assert!(first.contains("SELECT") && first.contains("mean_distance"), "{first}");
    let second = text(demo(folder.path(), &["--scale", "0.1"]));
    assert_eq!(row(&second, "customer_trusted")[1], "nothing");
    for table in ["landing customer_landing", "curated machine_learning_curated"] {
        assert_eq!(row(&first, table), row(&second, table));
    }
    // Where the contract says: the lake and the state in ./.stedi.
    assert!(folder.path().join(".stedi/lake/trusted/customer_trusted/_delta_log").is_dir());
}

/// All that a user sees, but for places and times.
#[test]
fn what_the_demo_prints() {
    let folder = tempfile::tempdir().unwrap();
    let source = fixture();
    let printed = text(demo(folder.path(), &["--source", source.to_str().unwrap()]));
    let mut kept = Vec::new();
    let mut promoted = false;
    for line in printed.lines().map(str::trim_end) {
        promoted = line.contains("promoted") || (promoted && !line.is_empty());
        kept.push(match line {
            _ if line.starts_with("lake at ") => "lake at FOLDER".to_owned(),
            _ if line.ends_with(" s in all") => "TIME s in all".to_owned(),
            // The last column is milliseconds, and so its width.
            _ if promoted => {
                let columns: Vec<&str> = line.split_whitespace().collect();
                columns[..columns.len() - 1].join("  ")
            }
            // Its time is in it.
            _ if line.len() == 64 && line.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                "SNAPSHOT".to_owned()
            }
            // Pseudonyms are of a key that is new each time.
            _ if line.split_whitespace().next().is_some_and(|word| word.len() == 32) => {
                "SUBJECT".to_owned()
            }
            _ => line.to_owned(),
        });
    }
    insta::assert_snapshot!(kept.join("\n"));
}

#[test]
fn wrong_flags_say_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, reason) in [
        (&["--scale", "0"][..], "between 0.001 and"),
        (&["--source", "nowhere"], "no such folder"),
        (&["--source", "."], "no files to load"),
        (&["--option", "readings"], "NAME=VALUE"),
        (&["--option", "readings=some"], "not one of all, since_consent"),
        (&["--pipeline", "nowhere", "--source", "."], "nowhere: cannot be read"),
        (&["--config", "nowhere.toml"], "nowhere.toml: cannot be read"),
    ] {
        let output = demo(folder.path(), arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && errors.contains(reason), "{arguments:?}: {errors}");
    }
}

#[test]
fn flags_win_over_environment_over_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("stedi.toml"), "storage = 'by-file'\nstate_dir = 'state'\n")
        .unwrap();
    let run = |storage: Option<&str>, environment: Option<&str>| {
        let mut command = server();
        command.current_dir(folder.path()).args(["demo", "--exit", "--scale", "0.005"]);
        command.args(["--config", "stedi.toml"]);
        command.args(storage.iter().flat_map(|storage| ["--storage", storage]));
        command.envs(environment.map(|storage| ("STEDI_STORAGE", storage)));
        std::fs::remove_dir_all(folder.path().join("state")).ok();
        text(command.output().unwrap());
    };
    run(None, None);
    assert!(folder.path().join("by-file/system").is_dir());
    run(None, Some("by-environment"));
    assert!(folder.path().join("by-environment/system").is_dir());
    run(Some("by-flag"), Some("by-nothing"));
    assert!(folder.path().join("by-flag/system").is_dir());
    assert!(!folder.path().join("by-nothing").exists());
    assert!(!folder.path().join(".stedi").exists());
}

#[test]
fn sample_data_is_the_same_for_the_same_seed() {
    let folder = tempfile::tempdir().unwrap();
    let read = |name: &str, sample: Sample| {
        let folder = folder.path().join(name);
        sample.write(&folder).unwrap();
        [
            "customer/customer-1.json",
            "accelerometer/accelerometer-4.json.gz",
            "step_trainer/step_trainer-1.json",
        ]
        .map(|file| std::fs::read(folder.join(file)).unwrap())
    };
    let sample = Sample { seed: 7, scale: 0.02 };
    let first = read("a", sample);
    assert!(first.iter().all(|bytes| bytes.len() > 500));
    assert_eq!(first, read("b", sample));
    assert_ne!(first, read("c", Sample { seed: 8, ..sample }));
}
