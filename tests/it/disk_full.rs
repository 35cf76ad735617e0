//! A disk that is full: what cannot be done is said, nothing is half done, and with room again everything
//! goes on by itself.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stedi_server::config::Config;

use crate::support::{Disk, QUICK, Serving, Site, TestLake, many, on_disk, sized};

const MEGABYTE: u64 = 1 << 20;
/// Readings of a load.
const ROWS: u64 = 20;
/// When the first one is of; those of customers are of before.
const FIRST: u64 = 100_000;

/// A server with a disk of its own under a folder of its state.
async fn with_disk(folder: &Path, place: &str, bytes: u64, toml: &str) -> (Site, Disk) {
    let at = folder.join(".stedi").join(place);
    let serving = Serving::start_with(folder, toml, |command| on_disk(command, &at, bytes)).await;
    let disk = Disk::of(serving.process.0.id(), &at);
    (Site { serving }, disk)
}

fn code(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["code"].as_str().unwrap_or_default())
}

fn readings(load: u64) -> String {
    let reading = |n: u64| {
        json!({ "sensorReadingTime": FIRST + load * ROWS + n, "serialNumber": "serial-of-ada",
            "distanceFromObject": n })
    };
    (0..ROWS).map(|n| format!("{}\n", reading(n))).collect()
}

async fn send(site: &Site, load: u64) -> (u16, Value) {
    site.answer(site.post("/v1/landing/step_trainer_landing").body(readings(load))).await
}

/// Every table is what it must be, in a copy of the lake as it is at one moment.
async fn is_whole(site: &Site, lake: &Path, keys: &Path) -> TestLake {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("lake");
    let signal = |signal: &str| {
        let id = site.serving.process.0.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    };
    signal("-STOP");
    let copied = Command::new("cp").arg("-r").args([lake, &copy]).status().unwrap();
    signal("-CONT");
    assert!(copied.success());
    let storage = copy.to_str().unwrap().to_owned();
    let config = Config { storage, state_dir: keys.to_owned(), ..Config::default() };
    let lake = TestLake::open(config, folder).await;
    lake.is_derived().await;
    lake
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(namespaces), ignore = "unshare and mount are not to be had without rights here")]
async fn no_room_to_spill_ends_the_statement_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let toml = format!("{QUICK}[limits.roles.admin]\nmemory_bytes = 134_217_728\n");
    let (site, disk) = with_disk(folder.path(), "spill", 400 * MEGABYTE, &toml).await;
    let rows = format!("SELECT n, repeat(s, 10) || n AS t FROM ({})", many(300_000));
    let sorted = format!(
        "SELECT max(r) FROM (SELECT row_number() OVER (ORDER BY t DESC) AS r FROM ({rows}))"
    );
    disk.fill();
    let answer = site.ask(&sorted).await;
    assert_eq!(code(&answer), (507, "storage_full"), "{answer:?}");
    let said = answer.1["detail"].as_str().unwrap();
    assert!(said.contains("full") && !said.contains(".stedi"), "{said}");
    // One that runs by itself says it where it is asked for.
    let begun = site.post("/v1/statements").json(&json!({ "sql": sorted }));
    let id = site.answer(begun).await.1["id"].as_str().unwrap().to_owned();
    let ended = site.ended(&format!("/v1/statements/{id}")).await;
    assert_eq!(ended["error"]["code"], "storage_full", "{ended}");
    // Who needs no room has theirs.
    assert_eq!(site.sql("SELECT 1").await, json!([[1]]));
    disk.free();
    assert_eq!(site.sql(&sorted).await, json!([[300_000]]));
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(namespaces), ignore = "unshare and mount are not to be had without rights here")]
async fn without_room_for_records_nothing_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let (site, disk) = with_disk(folder.path(), "audit", MEGABYTE, QUICK).await;
    site.customers(&["ada"]).await;
    disk.fill();
    // What fits into a page that the file has already is recorded and answered.
    let began = Instant::now();
    let answer = loop {
        let answer = site.ask("SELECT count(*) FROM customer_landing").await;
        if answer.0 != 200 || began.elapsed() > Duration::from_secs(60) {
            break answer;
        }
    };
    assert_eq!(code(&answer), (503, "audit_unavailable"), "{answer:?}");
    let refused = send(&site, 1).await;
    assert_eq!(code(&refused), (503, "audit_unavailable"), "{refused:?}");
    disk.free();
    let began = Instant::now();
    while site.ask("SELECT 1").await.0 != 200 {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not recover");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(send(&site, 1).await.0, 200);
    site.promote().await;
    // Nobody got rows that are not recorded.
    let lake = folder.path().join(".stedi/lake");
    is_whole(&site, &lake, &folder.path().join(".stedi")).await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(namespaces), ignore = "unshare and mount are not to be had without rights here")]
async fn a_lake_without_room_is_read_and_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let (site, disk) = with_disk(folder.path(), "lake", 64 * MEGABYTE, QUICK).await;
    site.customers(&["ada", "bob"]).await;
    let count = "SELECT count(*) FROM step_trainer_landing";
    let before = site.sql(count).await;
    disk.fill();
    for (path, body) in [
        ("/v1/promotions", json!({})),
        ("/v1/revocations", json!({ "email": "ada@rev", "reason": "by letter" })),
        ("/v1/snapshots", json!({})),
    ] {
        let answer = site.answer(site.post(path).json(&body)).await;
        assert_eq!(code(&answer), (507, "storage_full"), "{path}: {answer:?}");
    }
    let answer = send(&site, 1000).await;
    assert_eq!(code(&answer), (507, "storage_full"), "{answer:?}");
    assert_eq!(site.sql(count).await, before);
    assert_eq!(site.get("/readyz").await.0, 200);
    disk.free();
    assert_eq!(send(&site, 1000).await.0, 200);
    site.promote().await;
    let revoked = json!({ "email": "ada@rev", "reason": "by letter" });
    let (status, revocation) = site.answer(site.post("/v1/revocations").json(&revoked)).await;
    assert_eq!(status, 202, "{revocation}");
    let id = revocation["id"].as_str().unwrap();
    let ended = site.ended(&format!("/v1/revocations/{id}")).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    is_whole(&site, disk.folder(), &folder.path().join(".stedi")).await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(namespaces), ignore = "unshare and mount are not to be had without rights here")]
async fn full_and_free_again_at_any_moment_nothing_is_lost_or_doubled() {
    let folder = tempfile::tempdir().unwrap();
    let toml = format!("{QUICK}[promotion]\nafter_load_seconds = 0\n")
        .replace("every_seconds = 0", "every_seconds = 1");
    let (site, disk) = with_disk(folder.path(), "lake", 256 * MEGABYTE, &toml).await;
    site.customers(&["ada"]).await;
    let over = Arc::new(AtomicBool::new(false));
    let disk = Arc::new(disk);
    let tide = tokio::task::spawn_blocking({
        let (over, disk) = (Arc::clone(&over), Arc::clone(&disk));
        move || {
            let mut times = 0;
            while !over.load(Ordering::Relaxed) {
                disk.fill();
                std::thread::sleep(Duration::from_millis(20 + 30 * (times % 7)));
                disk.free();
                std::thread::sleep(Duration::from_millis(20 + 50 * (times % 5)));
                times += 1;
            }
            times
        }
    });
    let (mut answered, mut refused) = (Vec::new(), 0);
    let began = Instant::now();
    let seconds = Duration::from_secs(sized(8, 120));
    for load in 1.. {
        if began.elapsed() > seconds {
            break;
        }
        let answer = send(&site, load).await;
        match code(&answer) {
            (200, _) => answered.push(load),
            (507, "storage_full") => refused += 1,
            _ => panic!("{answer:?}"),
        }
    }
    over.store(true, Ordering::Relaxed);
    let times = tide.await.unwrap();
    assert!(refused > 0 && answered.len() > 1, "{refused} of {} in {times}", answered.len());
    // The whole way again, without anybody's help.
    assert_eq!(send(&site, 0).await.0, 200);
    answered.push(0);
    site.promote().await;
    let lake = is_whole(&site, disk.folder(), &folder.path().join(".stedi")).await;
    let rows = format!(
        "SELECT (sensorreadingtime - {FIRST}) / {ROWS}, count(*), count(DISTINCT sensorreadingtime) \
         FROM step_trainer_landing WHERE sensorreadingtime >= {FIRST} GROUP BY 1"
    );
    let mut there = BTreeSet::new();
    for row in lake.sorted(&rows).await {
        // As a whole and once, or not at all.
        assert_eq!(row[1..], [ROWS.to_string(), ROWS.to_string()], "load {}", row[0]);
        there.insert(row[0].parse::<u64>().unwrap());
    }
    assert!(answered.iter().all(|load| there.contains(load)), "{answered:?} {there:?}");
    println!("{} loads, {refused} refused, full {times} times", answered.len());
}
