//! Who withdraws while the tables are purged for somebody else, or the lake is scanned, does not wait for
//! the end of it: the rows are taken out meanwhile, so that snapshots can be made again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Fate, Proxy, QUICK, SeaweedFs, Serving, Site};

/// How long something may take to come.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than it takes until it is looked whether somebody came.
const A_WHILE: Duration = Duration::from_millis(2200);

/// Requests to the store that wait until the test lets them pass.
struct Door {
    at: fn(&str) -> bool,
    waits: AtomicBool,
    open: AtomicBool,
}

impl Door {
    fn new(at: fn(&str) -> bool) -> Self {
        Self { at, waits: AtomicBool::new(false), open: AtomicBool::new(false) }
    }

    fn pass(&self, line: &str) {
        if !(self.at)(line) {
            return;
        }
        self.waits.store(true, Ordering::SeqCst);
        let began = Instant::now();
        while !self.open.load(Ordering::SeqCst) && began.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    async fn is_reached(&self) {
        let began = Instant::now();
        while !self.waits.load(Ordering::SeqCst) {
            assert!(began.elapsed() < PATIENCE, "the request never comes");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn open(&self) {
        self.open.store(true, Ordering::SeqCst);
    }
}

async fn revoke(site: &Site, name: &str) -> String {
    let body = json!({ "email": format!("{name}@rev") });
    let (status, asked) = site.answer(site.post("/v1/revocations").json(&body)).await;
    assert_eq!(status, 202, "{asked}");
    format!("/v1/revocations/{}", asked["id"].as_str().unwrap())
}

async fn snapshot(site: &Site) -> (u16, Value) {
    site.answer(site.post("/v1/snapshots").json(&json!({}))).await
}

/// Waits until the rows are out.
async fn is_out(site: &Site, path: &str) {
    let began = Instant::now();
    loop {
        let now = site.serving.json(path).await;
        if now["step"] == "purge" {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{now}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(
    not(all(seaweedfs, python_readers)),
    ignore = "SeaweedFS is not installed; tests/run installs it"
)]
async fn nobody_waits_for_the_purge_or_the_scan_of_others() {
    let doors = Arc::new([
        Door::new(|line| {
            line.starts_with("PUT ") && line.contains("/purges/accelerometer_trusted")
        }),
        Door::new(|line| line.starts_with("PUT ") && line.contains("/purges/step_trainer_trusted")),
        // Nothing else reads these here.
        Door::new(|line| {
            line.contains("/system/runs/") && line.contains(".parquet") && line.starts_with("GET ")
        }),
    ]);
    let s3 = SeaweedFs::start();
    let between = Arc::clone(&doors);
    let proxy = Proxy::start(&s3.endpoint(), move |line| {
        between.iter().for_each(|door| door.pass(line));
        Fate::Passed
    });
    let folder = tempfile::tempdir().unwrap();
    let environment = proxy.through(&s3.environment());
    let serving = Serving::start_with(folder.path(), QUICK, |command| {
        command.args(["--storage", "s3://lake/newcomers"]).envs(environment);
    });
    let site = Site { serving: serving.await };
    site.customers(&["ada", "bob", "cyd", "kept"]).await;
    let [first, last, scan] = &*doors;

    let ada = revoke(&site, "ada").await;
    first.is_reached().await;
    let bob = revoke(&site, "bob").await;
    // She has left, he has not: no snapshot can be made.
    let (status, refused) = snapshot(&site).await;
    assert_eq!((status, refused["code"].as_str()), (503, Some("redacting")), "{refused}");
    tokio::time::sleep(A_WHILE).await;
    first.open();
    last.is_reached().await;
    is_out(&site, &bob).await;
    assert_eq!(site.serving.json(&ada).await["step"], "purge");
    let (status, made) = snapshot(&site).await;
    assert_eq!(status, 201, "{made}");

    last.open();
    scan.is_reached().await;
    assert_eq!(site.serving.json(&ada).await["step"], "verify");
    let cyd = revoke(&site, "cyd").await;
    is_out(&site, &cyd).await;
    assert_eq!(site.serving.json(&ada).await["step"], "verify");
    let (status, made) = snapshot(&site).await;
    assert_eq!(status, 201, "{made}");

    scan.open();
    for path in [&ada, &bob, &cyd] {
        let ended = site.ended(path).await;
        assert_eq!(ended["state"], "succeeded", "{ended}");
    }
    let left = "SELECT count(DISTINCT subject_id), count(*) FROM accelerometer_trusted";
    assert_eq!(site.sql(left).await, json!([[1, 20]]));
}
