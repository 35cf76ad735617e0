//! Steps of maintenance: what was there is there, and the next maintenance completes the rest.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use serde_json::Value;
use tempfile::TempDir;

use super::{Step, both, both_of, kill_when_held};
use crate::maintenance::{customer, maintained, reading};
use crate::support::{Replayed, Running, SeaweedFs, TestLake, python, replay, sized};
use crate::writers::share_keys;

/// The tables that are looked at.
pub const TABLES: [&str; 3] =
    ["landing/accelerometer_landing", "landing/customer_landing", "trusted/accelerometer_trusted"];
/// Threads that kill.
const AT_ONCE: usize = 3;

/// Every named step of a lake that was never maintained.
fn first_steps() -> Vec<Step> {
    [
        both("/system/leases/maintain-accelerometer_landing/", ".json"),
        both("/landing/accelerometer_landing/rewritten/part-", ".parquet"),
        both("/landing/accelerometer_landing/_delta_log/", ".json"),
        both("/landing/accelerometer_landing/_delta_log/", ".checkpoint.parquet"),
        both("/landing/accelerometer_landing/_delta_log/", "_last_checkpoint"),
        both("/trusted/accelerometer_trusted/part-", ".parquet"),
        both("/trusted/accelerometer_trusted/_delta_log/", ".json"),
        both("/trusted/accelerometer_trusted/_delta_log/", ".checkpoint.parquet"),
        both("/trusted/accelerometer_trusted/_delta_log/", "_last_checkpoint"),
        // What nobody needs is removed from the log, oldest first.
        both_of("POST ", "delete", 1),
        both_of("POST ", "delete", 2),
        both_of("POST ", "delete", 5),
    ]
    .concat()
}

/// Those of one whose log was cut: files are removed.
fn later_steps() -> Vec<Step> {
    [both_of("POST ", "delete", 1), both_of("POST ", "delete", 3)].concat()
}

/// A lake in a folder, in many files, and what its tables hold.
pub struct Prepared {
    pub lake: TestLake,
    pub tables: BTreeMap<String, Replayed>,
}

pub async fn prepared(cut: bool) -> Prepared {
    let lake = TestLake::new().await;
    for n in 0..5 {
        lake.load("customer_landing", customer(&format!("c{n}"), n)).await;
        lake.load("accelerometer_landing", reading(&format!("c{n}"), n)).await;
        lake.promote().await;
    }
    let tables = replay(lake.root().to_str().unwrap(), &TABLES, &[]);
    if cut {
        maintained(&lake.config).await;
    }
    Prepared { lake, tables }
}

/// Maintenance of a lake, as a process of its own: this test binary, which does nothing else.
pub fn maintenance(root: &str, state: &Path, environment: &[(String, String)]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "maintenance::as_a_process_of_its_own", "--nocapture"])
        .env("STEDI_TEST_MAINTAIN", root)
        .env("STEDI_TEST_STATE", state)
        .envs(environment.iter().cloned());
    command
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(
    not(all(seaweedfs, python_readers)),
    ignore = "SeaweedFS is not installed; tests/run installs it"
)]
async fn killed_at_every_step_of_maintenance() {
    let rounds = sized(1, 3);
    let s3 = SeaweedFs::start();
    let lakes = [prepared(false).await, prepared(true).await];
    let steps: Vec<(usize, Step)> = first_steps()
        .into_iter()
        .map(|step| (0, step))
        .chain(later_steps().into_iter().map(|step| (1, step)))
        .collect();
    println!("{} steps, {rounds} times each", steps.len());
    let work = (0..rounds).flat_map(|_| steps.clone()).enumerate().collect::<Vec<_>>();
    let work = Mutex::new(work.into_iter());
    let done = Mutex::new(Vec::new());
    tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    loop {
                        let Some((number, (from, step))) = work.lock().unwrap().next() else {
                            return;
                        };
                        let prefix = format!("maintain-{number}");
                        kill_and_complete(&prefix, step, &lakes[from].lake, &s3);
                        done.lock().unwrap().push((prefix, step, &lakes[from].tables));
                    }
                });
            }
        });
        whole(&done.into_inner().unwrap(), &s3);
    });
}

/// Copies a lake to S3; its root, and a state folder for whoever maintains it there.
pub fn uploaded(lake: &TestLake, prefix: &str, s3: &SeaweedFs) -> (String, TempDir) {
    let target = format!("lake/{prefix}");
    python("upload.py", &[lake.root().to_str().unwrap(), &target], &s3.environment());
    let state = tempfile::tempdir().unwrap();
    share_keys(&lake.config.state_dir, state.path());
    (format!("s3://{target}"), state)
}

fn kill_and_complete(prefix: &str, step: Step, lake: &TestLake, s3: &SeaweedFs) {
    let direct = s3.environment();
    let (root, state) = uploaded(lake, prefix, s3);
    let proxy = step.proxy(&s3.endpoint(), prefix);
    let mut command = maintenance(&root, state.path(), &proxy.through(&direct));
    kill_when_held(&proxy, Running::start(&mut command), step);
    let output = maintenance(&root, state.path(), &direct).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}: {said}", step.name());
}

/// In every lake there are the same rows as before, in few files, and the logs are cut.
fn whole(lakes: &[(String, Step, &BTreeMap<String, Replayed>)], s3: &SeaweedFs) {
    let tables = lakes.iter().flat_map(|(prefix, ..)| TABLES.map(|it| format!("{prefix}/{it}")));
    let tables: Vec<String> = tables.collect();
    let arguments = ["check", "--removed", "s3://lake"].into_iter();
    let arguments: Vec<&str> = arguments.chain(tables.iter().map(String::as_str)).collect();
    let text = python("replay.py", &arguments, &s3.environment());
    let found: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(found.len(), tables.len(), "{text}");
    let expected = lakes.iter().flat_map(|(_, step, before)| TABLES.map(|it| (it, step, before)));
    for (found, (table, step, before)) in found.iter().zip(expected) {
        let what = format!("{table}, killed {}: {found}", step.name());
        assert_eq!(found["rows"], before[table].rows, "{what}");
        assert_eq!(found["digest"], before[table].digest, "{what}");
        assert_eq!(found["files"], 1, "{what}");
        assert!(found["oldest"].as_u64().unwrap() >= 5, "{what}");
    }
}
