//! What a bucket keeps beside its objects, on a real S3.

use std::path::PathBuf;
use std::process::Command;

use stedi_server::lake::{Kept, Lake, Location, SessionLimits, Watch};

use crate::support::{SeaweedFs, TestLake, python};

fn asked(s3: &SeaweedFs, arguments: &[&str]) -> Vec<String> {
    let text = python("s3.py", arguments, &s3.environment());
    text.lines().map(str::to_owned).collect()
}

#[test]
#[cfg_attr(
    not(all(seaweedfs, python_readers)),
    ignore = "SeaweedFS is not installed; tests/run installs it"
)]
fn old_versions_and_unfinished_uploads_go() {
    let s3 = SeaweedFs::start();
    let (inside, outside) = ("kept/trusted/t", "other/trusted/t");
    asked(&s3, &["versioning", "lake"]);
    for folder in [inside, outside] {
        let key = |name: &str| format!("{folder}/{name}");
        asked(&s3, &["put", "lake", &key("ada+1 ü.txt"), "one"]);
        asked(&s3, &["put", "lake", &key("ada+1 ü.txt"), "two"]);
        asked(&s3, &["put", "lake", &key("gone.txt"), "one"]);
        asked(&s3, &["remove", "lake", &key("gone.txt")]);
        asked(&s3, &["begin", "lake", &key("part.parquet"), "a part"]);
    }
    // More of one object than the store tells at once, and a mark that it was deleted on top of them.
    let many = "kept/curated/many.txt";
    asked(&s3, &["put", "lake", many, "again", "1040"]);
    asked(&s3, &["remove", "lake", many]);
    let before = asked(&s3, &["kept", "lake", "kept/trusted"]);
    let before: Vec<String> =
        before.into_iter().chain(asked(&s3, &["kept", "lake", "other"])).collect();
    let of = |kept: &[String], folder: &str| {
        let mut of: Vec<String> = kept.iter().filter(|it| it.contains(folder)).cloned().collect();
        of.sort();
        of
    };
    assert_eq!(of(&before, inside).len(), 4, "{before:?}");
    let state = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "purge::bucket::as_a_process_of_its_own", "--nocapture"])
        .env("STEDI_TEST_KEPT", "s3://lake/kept")
        .env("STEDI_TEST_STATE", state.path())
        .envs(s3.environment())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // What is current stays.
    let name = format!("{inside}/ada+1 ü.txt");
    assert_eq!(asked(&s3, &["get", "lake", &name]), ["two"]);
    let after = asked(&s3, &["kept", "lake"]);
    assert!(of(&after, inside).is_empty());
    assert_eq!(of(&after, outside), of(&before, outside));
}

async fn opened(storage: &str, state: &str) -> Lake {
    let limits = SessionLimits {
        memory: 1 << 28,
        spill_dir: PathBuf::from(state),
        spill: 1 << 28,
        partitions: 1,
        staleness: std::time::Duration::ZERO,
    };
    Lake::open(Location::parse(storage).unwrap(), &limits).await.unwrap()
}

/// Not a test by itself: it is started anew with the variables of the store.
#[tokio::test(flavor = "multi_thread")]
async fn as_a_process_of_its_own() {
    let Ok(storage) = std::env::var("STEDI_TEST_KEPT") else { return };
    let lake = opened(&storage, &std::env::var("STEDI_TEST_STATE").unwrap()).await;
    let watch = Watch::default();
    let removed = async |folder: &str, except: &[&str], before: i64| {
        let kept = lake.remove_kept(folder, except, before, &watch).await.unwrap();
        assert!(kept.left.is_empty(), "{kept:?}");
        (kept.uploads, kept.versions)
    };
    assert_eq!(removed("curated", &[], i64::MAX).await, (0, 1041));
    assert_eq!(removed("curated", &[], i64::MAX).await, (0, 0));
    assert_eq!(removed("trusted", &["trusted/t"], i64::MAX).await, (0, 0));
    // An upload may be somebody's who is at it.
    assert_eq!(removed("trusted", &[], 1_000).await, (0, 3));
    assert_eq!(removed("trusted", &[], i64::MAX).await, (1, 0));
    // All that the lake itself left behind when it was opened, too.
    removed("", &[], i64::MAX).await;
    assert_eq!(removed("", &[], i64::MAX).await, (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_keeps_nothing() {
    let lake = TestLake::new().await;
    let kept = lake.app.lake.remove_kept("", &[], i64::MAX, &Watch::default()).await.unwrap();
    assert_eq!(kept, Kept::default());
}
