//! Somebody withdraws: before the purge they are found in everything that Delta leaves behind, after
//! it in nothing, by our own scan and by another program's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;
use stedi_server::config::MaintenanceConfig;
use stedi_server::lake::{Place, ScanScope};

use super::{CANARY, DERIVED, arrive, needles, purged, scanned, withdraw, withdrawn};
use crate::maintenance::{
    all_rows, derived_equal_their_selects, eager, folder, keeper, log_of, maintain, names,
};
use crate::readers::{TABLES as PATHS, counts};
use crate::support::{TestLake, python, replay};

const CURATED: &str = "machine_learning_curated";
const TRUSTED: &str = "accelerometer_trusted";

/// What another program finds: object, where.
pub fn found(
    root: &str,
    needles: &[String],
    environment: &[(String, String)],
) -> BTreeSet<(String, String)> {
    let mut arguments = vec!["--except", "landing", root];
    arguments.extend(needles.iter().map(String::as_str));
    let text = python("scan.py", &arguments, environment);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (last, lines) = lines.split_last().unwrap();
    assert!(last["objects"].as_u64().unwrap() > 20, "{last}");
    let word = |line: &Value, key: &str| line[key].as_str().unwrap().to_owned();
    lines.iter().map(|line| (word(line, "object"), word(line, "where"))).collect()
}

/// Puts whatever else may lie in a table's folder there, each with the same text.
fn strays(table: &Path, text: &str) -> usize {
    let log = table.join("_delta_log");
    std::fs::create_dir_all(log.join("_sidecars")).unwrap();
    std::fs::create_dir_all(table.join("old")).unwrap();
    let names = [
        "notes.txt",
        "old/part-1.csv",
        "part-killed.json#1",
        "_change_data/left.txt",
        "_delta_log/00000000000000000001.crc",
        "_delta_log/.00000000000000000001.json.crc",
        "_delta_log/00000000000000000000.00000000000000000002.compacted.json",
        "_delta_log/00000000000000000002.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json",
        "_delta_log/_sidecars/3a0d65cd-4056-49b8-937b-95f9e3ee90e5.json",
        "_delta_log/_commit_1d2e.json.tmp",
    ];
    for name in names {
        std::fs::write(table.join(name), format!("{{\"left\":\"{text}\"}}")).unwrap();
    }
    names.len()
}

/// Statistics in the tombstones of the newest commit, as other writers leave them there.
fn chatty_tombstones(lake: &TestLake, table: &str, text: &str) {
    let newest = log_of(lake, table).0.pop().unwrap();
    let file = folder(lake, table).join(format!("_delta_log/{newest:020}.json"));
    let commit = std::fs::read_to_string(&file).unwrap();
    let stats = format!(r#""remove":{{"stats":"{{\"minValues\":{{\"n\":\"{text}\"}}}}","#);
    let chatty = commit.replace("\"remove\":{", &stats);
    assert_ne!(chatty, commit, "{table} has no tombstone");
    std::fs::write(file, chatty).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(python_readers), ignore = "pyarrow is not installed; tests/run installs it")]
async fn nothing_is_left_outside_of_landing() {
    let lake = TestLake::new().await;
    for (n, who) in ["amy", CANARY, "zoe"].into_iter().enumerate() {
        arrive(&lake, who, n).await;
        lake.promote().await;
    }
    let needles = needles(&lake, CANARY).await;
    // A checkpoint in the middle of the past.
    let config = MaintenanceConfig {
        checkpoint_commits: 1,
        min_files: 1000,
        log_retention_hours: 1000,
        file_retention_hours: 1000,
        ..eager()
    };
    maintain(&keeper(&lake, config).await, &[]).await;
    withdraw(&lake, CANARY).await;
    lake.promote().await;
    arrive(&lake, "bob", 7).await;
    lake.promote().await;
    withdraw(&lake, "bob").await;
    lake.promote().await;
    chatty_tombstones(&lake, TRUSTED, &needles[0]);
    let left = strays(&folder(&lake, CURATED), &needles[0]);
    let (root, outside) = (lake.root(), ScanScope::except(&["landing"]));
    let root = root.to_str().unwrap();
    let before = all_rows(&lake).await;

    // Both see it everywhere.
    let ours = scanned(&lake.app, &needles, &outside).await;
    let theirs = found(root, &needles, &[]);
    let in_ours = |object: &str| ours.matches.iter().any(|found| found.object.contains(object));
    let in_theirs = |object: &str| theirs.iter().any(|(found, _)| found.contains(object));
    for object in [
        "trusted/customer_trusted/part-",
        "trusted/customer_trusted/_change_data/",
        "trusted/accelerometer_trusted/_change_data/",
        "trusted/accelerometer_trusted/_delta_log/0",
        "trusted/step_trainer_trusted/part-",
        "curated/customer_curated/_change_data/",
        "curated/machine_learning_curated/_delta_log/0000000000000000000",
        ".checkpoint.parquet",
        "curated/machine_learning_curated/notes.txt",
        "_sidecars/",
        "#1",
    ] {
        assert!(in_ours(object), "{object}: {ours:#?}");
        assert!(in_theirs(object), "{object}: {theirs:#?}");
    }
    let places: BTreeSet<Place> = ours.matches.iter().map(|found| found.place).collect();
    assert!(places.is_superset(&[Place::Bytes, Place::Page, Place::Row].into()), "{places:?}");
    assert!(theirs.iter().filter(|(object, _)| object.contains(CURATED)).count() > left);
    // What they find we find.
    let objects: BTreeSet<&str> = ours.matches.iter().map(|it| it.object.as_str()).collect();
    let missed: Vec<_> =
        theirs.iter().filter(|(object, _)| !objects.contains(object.as_str())).collect();
    assert!(missed.is_empty(), "{missed:?}");

    for table in DERIVED {
        let purged = purged(&lake.app, table).await;
        assert!(purged.files_removed > 2 && purged.commits_removed > 3, "{purged:?}");
        let (commits, checkpoints) = log_of(&lake, table);
        assert_eq!((commits, checkpoints), (vec![purged.version], vec![purged.version]));
        assert!(names(&folder(&lake, table).join("_change_data")).is_empty(), "{table}");
    }

    let theirs = found(root, &needles, &[]);
    assert!(theirs.is_empty(), "{theirs:#?}");
    let ours = scanned(&lake.app, &needles, &outside).await;
    assert!(ours.clean(), "{ours:#?}");
    // Landing keeps them, and the scan sees them there.
    let all = scanned(&lake.app, &needles, &ScanScope::all()).await;
    assert!(all.matches.iter().all(|found| found.object.starts_with("landing/")), "{all:#?}");
    assert!(all.found > 3, "{all:#?}");

    // Everybody else is there, for everybody who reads.
    assert_eq!(all_rows(&lake).await, before);
    derived_equal_their_selects(&lake, "after the purge").await;
    let expected = [6, 4, 4, 2, 2, 2, 2, 2];
    for script in ["count_deltalake.py", "count_duckdb.py"] {
        assert_eq!(counts(script, root, &[]), expected, "{script}");
    }
    let replayed: BTreeMap<_, _> = replay(root, &PATHS, &[]);
    assert_eq!(replayed["curated/machine_learning_curated"].rows, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_derived_goes_on_from_where_it_was() {
    let lake = withdrawn().await;
    for round in 0..3 {
        for table in DERIVED {
            purged(&lake.app, table).await;
        }
        let modes = lake.promote().await;
        assert!(modes.values().all(|mode| *mode == "nothing"), "round {round}: {modes:?}");
    }
    // Of landing tables too, all of which was taken in.
    for table in ["customer_landing", "accelerometer_landing", "step_trainer_landing"] {
        purged(&lake.app, table).await;
        purged(&lake.app, table).await;
    }
    arrive(&lake, "eve", 9).await;
    lake.load("accelerometer_landing", crate::maintenance::reading("amy", 50)).await;
    let modes = lake.promote().await;
    assert_eq!(modes[TRUSTED], "subjects", "{modes:?}");
    assert!(modes.values().all(|mode| *mode != "rebuild"), "{modes:?}");
    lake.load("accelerometer_landing", crate::maintenance::reading("amy", 51)).await;
    assert_eq!(lake.promote().await[TRUSTED], "append");
    derived_equal_their_selects(&lake, "after purges").await;
    assert_eq!(lake.counts(DERIVED).await, [3, 5, 3, 3, 3]);
}
