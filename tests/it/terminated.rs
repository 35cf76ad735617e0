//! SIGTERM in the middle of work: the server ends well and soon, and nothing is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Client, RequestBuilder};
use serde_json::json;
use stedi_openapi::LoadResult;
use stedi_server::auth::Role;
use stedi_server::config::Config;

use crate::support::{Serving, TestLake, sized};

/// Within which a server that is told to stop has ended.
const PATIENCE: Duration = Duration::from_secs(10);
/// Readings of a load.
const ROWS: u64 = 50;
const TOML: &str = "[maintenance]\nevery_seconds = 1\n[promotion]\nafter_load_seconds = 0\n[snapshot]\nafter_promotion = true\n";

fn readings(load: usize) -> String {
    let reading = |n: u64| {
        let time = load as u64 * ROWS + n + 1;
        json!({ "sensorReadingTime": time, "serialNumber": "device", "distanceFromObject": n })
    };
    (0..ROWS).map(|n| format!("{}\n", reading(n))).collect()
}

/// Somebody who goes on until it is over.
#[derive(Clone)]
struct Caller {
    url: String,
    http: Client,
    token: String,
    over: Arc<AtomicBool>,
}

impl Caller {
    fn new(serving: &Serving, role: Role, over: &Arc<AtomicBool>) -> Self {
        let (url, http) = (serving.url.clone(), serving.http.clone());
        Self { url, http, token: serving.token(role, role.name()), over: Arc::clone(over) }
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.http.post(format!("{}{path}", self.url)).bearer_auth(&self.token)
    }

    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }

    /// Loads from a number on; the next number, and the loads that were answered.
    async fn load(self, from: usize) -> (usize, Vec<usize>) {
        let (mut next, mut answered) = (from, Vec::new());
        while self.goes_on() {
            let number = next;
            next += 1;
            let request = self.post("/v1/landing/step_trainer_landing").body(readings(number));
            let Ok(answer) = request.send().await else { continue };
            if answer.status().is_success()
                && let Ok(result) = answer.json::<LoadResult>().await
            {
                assert_eq!(result.accepted, ROWS, "{result:?}");
                answered.push(number);
            }
        }
        (next, answered)
    }

    /// Asks for rows.
    async fn ask(self) {
        while self.goes_on() {
            let sql = "SELECT serialnumber, count(*) FROM step_trainer_landing GROUP BY 1";
            if let Ok(answer) = self.post("/v1/sql").json(&json!({ "sql": sql })).send().await {
                let status = answer.status().as_u16();
                assert!([200, 503].contains(&status), "{status}: {:?}", answer.text().await);
            }
        }
    }
}

async fn customer(serving: &Serving) {
    let record = json!({ "email": "ada@term", "serialNumber": "device", "registrationDate": 1,
        "lastUpdateDate": 10, "shareWithResearchAsOfDate": 1000 });
    let token = serving.token(Role::Ingest, "loader");
    let url = format!("{}/v1/landing/customer_landing", serving.url);
    let request = serving.http.post(url).bearer_auth(token).body(format!("{record}\n"));
    assert!(request.send().await.unwrap().status().is_success());
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_it_is_at_it_ends_well_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (mut next, mut answered) = (0, Vec::new());
    for round in 0..sized(5, 50) {
        let serving = Serving::start(folder.path(), TOML).await;
        if round == 0 {
            customer(&serving).await;
        }
        let over = Arc::new(AtomicBool::new(false));
        let loading = tokio::spawn(Caller::new(&serving, Role::Ingest, &over).load(next));
        let asking = tokio::spawn(Caller::new(&serving, Role::Admin, &over).ask());
        // In the middle of something else each time.
        tokio::time::sleep(Duration::from_millis(300 + 170 * (round % 9))).await;
        let began = Instant::now();
        let code = tokio::task::spawn_blocking(move || serving.process.terminate()).await.unwrap();
        assert_eq!(code, Some(0));
        assert!(began.elapsed() < PATIENCE, "it took {:?}", began.elapsed());
        over.store(true, Ordering::Relaxed);
        let (sent, more) = loading.await.unwrap();
        asking.await.unwrap();
        next = sent;
        answered.extend(more);
    }
    assert!(!answered.is_empty());
    let storage = folder.path().join(".stedi/lake").to_str().unwrap().to_owned();
    let config = Config { storage, state_dir: folder.path().join(".stedi"), ..Config::default() };
    let lake = TestLake::open(config, folder).await;
    lake.promote().await;
    lake.is_derived().await;
    let rows =
        lake.sorted("SELECT sensorreadingtime, count(*) FROM step_trainer_landing GROUP BY 1");
    let rows = rows.await;
    assert!(rows.iter().all(|row| row[1] == "1"), "a reading is there twice");
    let there: std::collections::BTreeSet<u64> =
        rows.iter().map(|row| row[0].parse().unwrap()).collect();
    for number in &answered {
        let times = (1..=ROWS).map(|n| *number as u64 * ROWS + n);
        assert!(times.into_iter().all(|time| there.contains(&time)), "load {number} is lost");
    }
    // A load is there as a whole or not at all.
    assert_eq!(there.len() as u64 % ROWS, 0);
}
