//! SIGKILL at every step of a purge, on S3: the next one completes it, nobody is lost, and nothing of
//! who withdrew is left.

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use super::canaries::found;
use super::{CANARY, DERIVED, needles, withdrawn};
use crate::kills::maintenance::uploaded;
use crate::kills::{Step, both, both_of, kill_when_held};
use crate::readers::{TABLES, counts};
use crate::support::{Running, SeaweedFs, python, replay, sized};

/// Threads that kill.
const AT_ONCE: usize = 3;

/// Every named step, of the first table and of one in the middle.
fn steps() -> Vec<Step> {
    let said = |nth| both_of("/system/purges/customer_trusted", ".json", nth);
    let all = [
        both("/trusted/customer_trusted/_delta_log/", ".json"),
        // That it began, what was removed of files, what of the log, that it is done.
        said(1),
        said(2),
        said(3),
        said(4),
        both("/trusted/customer_trusted/_delta_log/", ".checkpoint.parquet"),
        both("/trusted/customer_trusted/_delta_log/", "_last_checkpoint"),
        // Files, then the log.
        both_of("POST ", "delete", 2),
        both_of("POST ", "delete", 3),
        both("/system/leases/maintain-customer_curated/", ".json"),
        both("/curated/customer_curated/_delta_log/", ".json"),
        both("/curated/customer_curated/_delta_log/", ".checkpoint.parquet"),
    ]
    .concat();
    // Before one, after the next: in the suite every other of them.
    let every = sized(2, 1);
    all.into_iter()
        .enumerate()
        .filter(|(at, _)| (at + at / 2) % every == 0)
        .map(|it| it.1)
        .collect()
}

/// The purge of all derived tables, as a process of its own: this test binary, which does nothing else.
fn purge(root: &str, state: &Path, needles: &str, environment: &[(String, String)]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "purge::as_a_process_of_its_own", "--nocapture"])
        .env("STEDI_TEST_PURGE", root)
        .env("STEDI_TEST_STATE", state)
        .env("STEDI_TEST_NEEDLES", needles)
        .envs(environment.iter().cloned());
    command
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(
    not(all(seaweedfs, python_readers)),
    ignore = "SeaweedFS is not installed; tests/run installs it"
)]
async fn killed_at_every_step_of_a_purge() {
    let rounds = sized(1, 2);
    let s3 = SeaweedFs::start();
    let lake = withdrawn().await;
    let needles = needles(&lake, CANARY).await;
    let before = lake.counts(DERIVED).await;
    let root = lake.root();
    let tables = replay(root.to_str().unwrap(), &TABLES, &[]);
    let seen = found(root.to_str().unwrap(), &needles, &[]);
    assert!(seen.len() > 20, "{seen:?}");
    let work: Vec<_> = (0..rounds).flat_map(|_| steps()).enumerate().collect();
    println!("{} steps, {rounds} times each", steps().len());
    let work = Mutex::new(work.into_iter());
    let done = Mutex::new(Vec::new());
    tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    loop {
                        let Some((number, step)) = work.lock().unwrap().next() else { return };
                        let prefix = format!("purge-{number}");
                        let direct = s3.environment();
                        let (root, state) = uploaded(&lake, &prefix, &s3);
                        // It is in the store too, before.
                        if number == 0 {
                            assert!(found(&root, &needles, &direct).len() > 20);
                        }
                        let proxy = step.proxy(&s3.endpoint(), &prefix);
                        let texts = needles.join(",");
                        let environment = proxy.through(&direct);
                        let mut command = purge(&root, state.path(), &texts, &environment);
                        kill_when_held(&proxy, Running::start(&mut command), step);
                        let again = purge(&root, state.path(), &texts, &direct).output().unwrap();
                        let said = String::from_utf8_lossy(&again.stdout);
                        assert!(again.status.success(), "{}: {said}", step.name());
                        done.lock().unwrap().push((prefix, step));
                    }
                });
            }
        });
        let done = done.into_inner().unwrap();
        for (number, (prefix, step)) in done.iter().enumerate() {
            let root = format!("s3://lake/{prefix}");
            let left = found(&root, &needles, &s3.environment());
            assert!(left.is_empty(), "{}: {left:?}", step.name());
            // Nobody else is lost, for us and for others.
            let names = TABLES.map(|table| format!("{prefix}/{table}"));
            let arguments = ["check", "s3://lake"].into_iter();
            let arguments: Vec<&str> = arguments.chain(names.iter().map(String::as_str)).collect();
            let text = python("replay.py", &arguments, &s3.environment());
            for (line, table) in text.lines().zip(TABLES) {
                let found: serde_json::Value = serde_json::from_str(line).unwrap();
                let what = format!("{table}, killed {}: {found}", step.name());
                assert_eq!(found["digest"], tables[table].digest, "{what}");
            }
            if number == 0 {
                let counts = counts("count_deltalake.py", &root, &s3.environment());
                let expected = before.map(|count| count as u64);
                let derived = DERIVED.map(|name| {
                    let at = TABLES.iter().position(|table| table.ends_with(name)).unwrap();
                    counts[at]
                });
                assert_eq!(derived, expected, "{}", step.name());
            }
        }
    });
}
