//! A lake is copied while it is in use, and another server goes on from the copy.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;
use stedi_server::app::{App, backup};
use stedi_server::config::Config;
use stedi_server::pipeline::Sight;
use tempfile::TempDir;

use crate::datasets::{QUICK, Site};
use crate::support::{TestLake, holding, server};
use crate::writers::share_keys;

/// Loads that are there before the backup begins.
const BEFORE: usize = 4;

fn load(number: usize) -> [(&'static str, String); 3] {
    let (email, device) = (format!("c{number}@copy"), format!("device-{number}"));
    let customer = json!({ "email": email, "serialNumber": device, "registrationDate": 1,
        "lastUpdateDate": 10, "shareWithResearchAsOfDate": 1000, "birthDay": "1950-01-01",
        "customerName": format!("Name {number}") });
    let (mut readings, mut steps) = (String::new(), String::new());
    for time in 1..5 {
        readings += &format!(
            "{}\n",
            json!({ "user": email, "timestamp": time, "x": 0.5, "y": 1, "z": number })
        );
        steps += &format!(
            "{}\n",
            json!({ "sensorReadingTime": time, "serialNumber": device, "distanceFromObject": number })
        );
    }
    [
        ("customer_landing", format!("{customer}\n")),
        ("accelerometer_landing", readings),
        ("step_trainer_landing", steps),
    ]
}

async fn fill(lake: &TestLake, number: usize) {
    for (table, text) in load(number) {
        lake.load(table, text).await;
    }
    lake.promote().await;
}

/// What a server makes of a copy that lies in a folder.
async fn restored(of: &TestLake, copy: &Path, folder: TempDir) -> TestLake {
    let state_dir = folder.path().join("state");
    share_keys(&of.config.state_dir, &state_dir);
    let storage = copy.to_str().unwrap().to_owned();
    TestLake::open(Config { storage, state_dir, ..of.config.clone() }, folder).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_goes_on_from_a_copy_that_was_made_while_others_worked() {
    let lake = Arc::new(TestLake::new().await);
    for number in 0..BEFORE {
        fill(&lake, number).await;
    }
    let asked = stedi_openapi::SnapshotRequest::default();
    let snapshot = lake.app.snapshots.create("test", &Sight::All, &asked, None).await.unwrap();
    let (stop, loaded) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(BEFORE)));
    let (others, flag, many) = (Arc::clone(&lake), Arc::clone(&stop), Arc::clone(&loaded));
    let work = tokio::spawn(async move {
        while !flag.load(Ordering::Relaxed) {
            fill(&others, many.load(Ordering::Relaxed)).await;
            many.fetch_add(1, Ordering::Relaxed);
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy");
    let to = copy.to_str().unwrap();
    let first = backup(&lake.config, to).await.unwrap().run().await.unwrap();
    while loaded.load(Ordering::Relaxed) < BEFORE + 2 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    // Brought up to date, it costs what is new.
    let second = backup(&lake.config, to).await.unwrap().run().await.unwrap();
    assert!(second.kept > 0 && first.kept == 0, "{first:?} {second:?}");
    stop.store(true, Ordering::Relaxed);
    work.await.unwrap();

    let restored = restored(&lake, &copy, folder).await;
    let all = loaded.load(Ordering::Relaxed);
    // What was there before is there, nothing twice, nothing that was never loaded.
    let customers = restored.sorted("SELECT email FROM customer_landing").await;
    let there: BTreeSet<&String> = customers.iter().map(|row| &row[0]).collect();
    assert_eq!(there.len(), customers.len(), "{customers:?}");
    for number in 0..BEFORE {
        assert!(there.contains(&format!("c{number}@copy")), "{customers:?}");
    }
    assert!(there.iter().all(|email| email.ends_with("@copy")) && there.len() <= all);
    restored.promote().await;
    restored.is_derived().await;
    // What was sent meanwhile is sent again: all of it is there, and once.
    for number in 0..all {
        fill(&restored, number).await;
    }
    restored.is_derived().await;
    let tables = ["customer_landing", "accelerometer_landing", "step_trainer_landing"];
    assert_eq!(restored.counts(tables).await, [all, 4 * all, 4 * all]);
    assert_eq!(restored.count("machine_learning_curated").await, 4 * all);
    let record = restored.app.snapshots.get(&Sight::All, &snapshot.id).await.unwrap();
    assert_eq!(record.manifest, snapshot);
    for (digest, path) in &record.files {
        let bytes = std::fs::read(copy.join(path)).unwrap();
        assert_eq!(&crate::datasets::sha256(&bytes), digest);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_backup_is_left_alone_and_one_that_is_not_whole_is_no_lake() {
    let lake = TestLake::filled().await;
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("thesis.txt"), "mine").unwrap();
    let error = async |to: &Path| {
        let made = backup(&lake.config, to.to_str().unwrap()).await;
        made.map(|_| ()).unwrap_err().to_string()
    };
    assert!(error(&other).await.contains("is no backup: nothing was written"));
    assert_eq!(std::fs::read_to_string(other.join("thesis.txt")).unwrap(), "mine");
    assert!(error(&lake.root()).await.contains("into itself"));
    assert!(error(&lake.root().join("copy")).await.contains("into itself"));
    let copy = folder.path().join("copy");
    backup(&lake.config, copy.to_str().unwrap()).await.unwrap().run().await.unwrap();
    let another = TestLake::filled().await;
    let made = backup(&another.config, copy.to_str().unwrap()).await;
    assert!(made.map(|_| ()).unwrap_err().to_string().contains("is a backup of"));
    // One that was cut short.
    let mark = copy.join("system/backup.json");
    let whole = std::fs::read_to_string(&mark).unwrap();
    let cut: serde_json::Value = serde_json::from_str(&whole).unwrap();
    let cut = json!({ "of": cut["of"], "begun": cut["begun"], "whole": null });
    std::fs::write(&mark, cut.to_string()).unwrap();
    let config = Config { storage: copy.to_str().unwrap().to_owned(), ..lake.config.clone() };
    let opened = App::open(&config).await;
    assert!(opened.map(|_| ()).unwrap_err().to_string().contains("not whole"));
    // Run again it is whole, and then a lake that no backup overwrites.
    backup(&lake.config, copy.to_str().unwrap()).await.unwrap().run().await.unwrap();
    App::open(&config).await.unwrap();
    assert!(error(&copy).await.contains("is no backup: nothing was written"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_erased_is_gone_from_the_copy_that_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), QUICK).await;
    site.customers(&["ada", "bob"], 1..10).await;
    let copy = folder.path().join("copy");
    let command = || {
        let mut command = server();
        command.current_dir(folder.path()).args(["backup", "--config", "stedi.toml", "--to"]);
        let output = command.arg(&copy).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let said = command();
    assert!(said.contains("customer_landing version "), "{said}");
    assert!(!holding(&copy, "ada@set").is_empty());
    let erasure = site.ask(stedi_server::auth::Role::Admin, "POST", "/v1/erasures");
    let (_, erasure) = site.answer(erasure.json(&json!({ "email": "ada@set" }))).await;
    let ended = site.ended("erasures", erasure["id"].as_str().unwrap()).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let said = command();
    assert!(!said.contains("removed 0"), "{said}");
    assert_eq!(holding(&copy, "ada@set"), Vec::<String>::new());
    assert_eq!(holding(&copy, "serial-of-ada"), Vec::<String>::new());
}
