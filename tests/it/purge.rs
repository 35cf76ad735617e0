//! Purge, the verification that it worked, and the certificate of it.

mod beside;
mod bounds;
mod bucket;
mod canaries;
mod certificates;
mod scan;
mod steps;
mod time_travel;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stedi_server::app::App;
use stedi_server::config::Config;
use stedi_server::lake::{
    Needle, Needles, Pins, PurgeOrder, Purged, ScanProgress, ScanReport, ScanScope, Watch,
};
use stedi_server::maintenance::Purging;
use tokio_util::sync::CancellationToken;

use crate::maintenance::{customer, reading};
use crate::support::{TestLake, author};

/// The derived tables, and so all that must not hold who withdrew.
pub const DERIVED: [&str; 5] = [
    "customer_trusted",
    "accelerometer_trusted",
    "customer_curated",
    "step_trainer_trusted",
    "machine_learning_curated",
];
/// Who withdraws.
pub const CANARY: &str = "canary-q7x";

/// An order that waits for nobody.
pub fn order(through: u64) -> PurgeOrder {
    PurgeOrder {
        through,
        reason: "work-1".to_owned(),
        grace: Duration::ZERO,
        unfinished: Duration::ZERO,
        pins: Pins::default(),
        looked: None,
        author: author(),
    }
}

/// The newest version of a table.
pub async fn version(app: &App, table: &str) -> u64 {
    let zone = app.pipeline.zone(table).unwrap();
    app.lake.table(zone.name(), table).await.unwrap().unwrap().version()
}

/// Asks once.
pub async fn asked(app: &App, table: &str, order: &PurgeOrder) -> Purging {
    app.maintenance.purge(table, order, &CancellationToken::new()).await.unwrap()
}

/// Purges a table as it is now.
pub async fn purged(app: &App, table: &str) -> Purged {
    let order = order(version(app, table).await);
    let began = Instant::now();
    loop {
        match asked(app, table, &order).await {
            Purging::Done(purged) => return purged,
            // A server that was killed still holds the lease, or a file is of this very moment.
            Purging::Busy | Purging::Waits(..) if began.elapsed() < Duration::from_secs(60) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            other => panic!("{table}: {other:?}"),
        }
    }
}

/// Looks for these texts.
pub async fn scanned(app: &App, needles: &[String], scope: &ScanScope) -> ScanReport {
    let needles = needles.iter().map(|text| Needle::any_case(text, text)).collect();
    let needles = Arc::new(Needles::new(needles).unwrap());
    let progress = Arc::new(ScanProgress::default());
    app.lake.scan(&needles, scope, &progress, &Arc::new(Watch::default())).await.unwrap()
}

/// Readings of a device and of its wearer at one moment.
pub fn step(who: &str, n: usize) -> String {
    let time = 1000 + n;
    format!(r#"{{"sensorReadingTime":{time},"serialNumber":"d-{who}","distanceFromObject":{n}}}"#)
}

/// Somebody's record, and readings of both kinds.
pub async fn arrive(lake: &TestLake, who: &str, n: usize) {
    lake.load("customer_landing", customer(who, n)).await;
    lake.load("accelerometer_landing", reading(who, n)).await;
    lake.load("step_trainer_landing", step(who, n)).await;
}

/// A newer record of somebody, without their consent.
pub async fn withdraw(lake: &TestLake, who: &str) {
    let withdrawn = customer(who, 900).replace("OfDate\":1}", "OfDate\":null}");
    lake.load("customer_landing", withdrawn).await;
}

/// Everything that names somebody: e-mail, device, pseudonym.
pub async fn needles(lake: &TestLake, who: &str) -> Vec<String> {
    let email = format!("{who}@example.com");
    let sql = format!("SELECT DISTINCT subject_id FROM customer_landing WHERE email = '{email}'");
    let subject = lake.select(&sql).await.remove(0).remove(0);
    vec![email, format!("d-{who}"), subject]
}

/// A lake in which somebody was in every derived table and is not any more.
pub async fn withdrawn() -> TestLake {
    let lake = TestLake::new().await;
    for (n, who) in ["amy", CANARY, "zoe"].into_iter().enumerate() {
        arrive(&lake, who, n).await;
        lake.promote().await;
    }
    assert_eq!(lake.counts(DERIVED).await, [3; 5]);
    withdraw(&lake, CANARY).await;
    lake.promote().await;
    assert_eq!(lake.counts(DERIVED).await, [2; 5]);
    lake
}

/// Not a test by itself: tests start this binary anew, where the store is another one or the process
/// is killed.
#[tokio::test(flavor = "multi_thread")]
async fn as_a_process_of_its_own() {
    let Ok(storage) = std::env::var("STEDI_TEST_PURGE") else { return };
    let state_dir = PathBuf::from(std::env::var("STEDI_TEST_STATE").unwrap());
    let maintenance = crate::maintenance::eager();
    let config = Config { storage, state_dir, maintenance, ..Config::default() };
    let app = App::open(&config).await.unwrap();
    let tables = std::env::var("STEDI_TEST_TABLES").unwrap_or_else(|_| DERIVED.join(","));
    for table in tables.split(',') {
        purged(&app, table).await;
    }
    let Ok(needles) = std::env::var("STEDI_TEST_NEEDLES") else { return };
    let needles: Vec<String> = needles.split(',').map(str::to_owned).collect();
    let report = scanned(&app, &needles, &ScanScope::except(&["landing"])).await;
    assert!(report.clean(), "{report:?}");
    assert!(report.rows > 10 && report.pages > 10, "{report:?}");
    let report = scanned(&app, &needles, &ScanScope::all()).await;
    assert!(report.found >= needles.len() as u64, "{report:?}");
}
