//! A server that loses its lease while it works commits nothing: somebody else has the table.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::maintenance::{TABLES, maintenance, prepared, uploaded};
use crate::support::{Fate, Proxy, SeaweedFs, python};

/// How long the other server holds the table.
const HELD: Duration = Duration::from_secs(4);

fn millis() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(
    not(all(seaweedfs, python_readers)),
    ignore = "SeaweedFS is not installed; tests/run installs it"
)]
async fn who_loses_the_lease_commits_nothing() {
    let s3 = SeaweedFs::start();
    let direct = s3.environment();
    let prepared = prepared(false).await;
    let (root, state) = uploaded(&prepared.lake, "takeover", &s3);
    // The lease as another server takes it.
    let folder = tempfile::tempdir().unwrap();
    let expires = Arc::new(AtomicUsize::new(0));
    let (taken, early) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let commits = Arc::new(AtomicUsize::new(0));
    let proxy = {
        let (taken, early) = (Arc::clone(&taken), Arc::clone(&early));
        let (commits, expires) = (Arc::clone(&commits), Arc::clone(&expires));
        let (direct, folder) = (direct.clone(), folder.path().to_owned());
        Proxy::start(&s3.endpoint(), move |line| {
            let table = "/takeover/landing/accelerometer_landing/";
            let put = line.starts_with("PUT ") && line.contains(table);
            if put && line.contains("/part-") && !taken.swap(true, Ordering::SeqCst) {
                let held = HELD.as_millis() as u64;
                let until = millis() + held;
                expires.store(until as usize, Ordering::SeqCst);
                // That its leases are that long, and its clock is not ahead.
                let epoch = json!({ "holder": "another", "expires": until, "millis": held });
                std::fs::write(folder.join("0000000009.json"), epoch.to_string()).unwrap();
                let lease = "lake/takeover/system/leases/maintain-accelerometer_landing";
                python("upload.py", &[folder.to_str().unwrap(), lease], &direct);
            }
            if put && line.contains("/_delta_log/") {
                // As long as the other one has it, nothing may be written into the log.
                let held = (millis() as usize) < expires.load(Ordering::SeqCst);
                early.fetch_or(held, Ordering::SeqCst);
                commits.fetch_add(1, Ordering::SeqCst);
            }
            Fate::Passed
        })
    };
    let mut command = maintenance(&root, state.path(), &proxy.through(&direct));
    let output = tokio::task::block_in_place(|| command.output().unwrap());
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(taken.load(Ordering::SeqCst) && !early.load(Ordering::SeqCst));
    // A compaction, a checkpoint and its hint, once the other one was gone.
    assert_eq!(commits.load(Ordering::SeqCst), 3);
    let arguments = ["check", "--removed", root.as_str(), TABLES[0]];
    let found: Value = serde_json::from_str(&python("replay.py", &arguments, &direct)).unwrap();
    assert_eq!(found["digest"], prepared.tables[TABLES[0]].digest);
    assert_eq!(found["files"], 1);
}
