//! Many customers withdraw their consent while records are loaded and tables promoted: nobody is seen by
//! any route after their acknowledgement, and nobody else's rows change (invariant 3).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use stedi_openapi::WorkState;
use stedi_server::app::App;
use stedi_server::auth::Role;

use crate::support::{SeaweedFs, Serving, TestLake, TestServer, answered, sized};

const DERIVED: [&str; 5] = [
    "customer_trusted",
    "accelerometer_trusted",
    "customer_curated",
    "step_trainer_trusted",
    "machine_learning_curated",
];
/// Customers who stay.
const KEPT: usize = 20;

/// Who withdraws.
fn goes(number: usize) -> String {
    format!("goes{number}x@many")
}

fn kept(number: usize) -> String {
    format!("kept{number}x@many")
}

fn record(email: &str, device: &str, updated: i64, shared: i64) -> String {
    format!(
        "{{\"email\":\"{email}\",\"serialNumber\":\"{device}\",\"lastUpdateDate\":{updated},\
         \"shareWithResearchAsOfDate\":{shared}}}\n"
    )
}

fn own(email: &str) -> String {
    // Long enough to be in no compressed bytes by chance.
    format!("Q-{}-serial", email.split('@').next().unwrap())
}

/// Everybody's first records. Of devices beside everybody's own,
/// - `S-n` is claimed by somebody who withdraws and somebody who stays;
/// - `B-n` by two who stay;
/// - `X-n` by somebody who stays, and a stranger who never consented.
fn customers(count: usize) -> String {
    let mut records = String::new();
    for number in 0..KEPT {
        records += &record(&kept(number), &format!("S-{number}"), 1, 1000);
        records += &record(&kept(number), &format!("B-{}", number / 2), 2, 1000);
        records += &record(&kept(number), &format!("X-{number}"), 3, 1000);
        records += &record(&format!("stranger{number}x@many"), &format!("X-{number}"), 1, 0);
        records += &record(&goes(number), &format!("S-{number}"), 1, 1000);
    }
    for email in (0..count).map(goes).chain((0..KEPT).map(kept)) {
        records += &record(&email, &own(&email), 10, 1000);
    }
    records
}

/// Readings of everybody, and of every device, at a moment.
fn readings(count: usize, time: i64) -> (String, String) {
    let (mut movements, mut steps) = (String::new(), String::new());
    let mut step = |device: String| {
        steps += &format!(
            "{{\"sensorReadingTime\":{time},\"serialNumber\":\"{device}\",\"distanceFromObject\":7}}\n"
        );
    };
    for email in (0..count).map(goes).chain((0..KEPT).map(kept)) {
        movements +=
            &format!("{{\"user\":\"{email}\",\"timestamp\":{time},\"x\":1,\"y\":1,\"z\":1}}\n");
        step(own(&email));
    }
    for number in 0..KEPT {
        step(format!("S-{number}"));
        step(format!("X-{number}"));
        if number % 2 == 0 {
            step(format!("B-{}", number / 2));
        }
    }
    (movements, steps)
}

/// What the tables hold once everybody who goes is gone, as texts: who, device, moment.
fn model(times: i64) -> BTreeMap<&'static str, BTreeSet<String>> {
    let mut tables: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut row = |table, text: String| {
        tables.entry(table).or_default().insert(text);
    };
    for number in 0..KEPT {
        let who = kept(number);
        row("customer_trusted", format!("{who} {}", own(&who)));
        row("customer_curated", format!("{who} {}", own(&who)));
        for time in 1..=times {
            row("accelerometer_trusted", format!("{who} {} {time}", own(&who)));
            row("step_trainer_trusted", format!("{who} {} {time}", own(&who)));
            row("machine_learning_curated", format!("{who} {} {time}", own(&who)));
            let both = format!("B-{}", number / 2);
            row("step_trainer_trusted", format!("nobody {both} {time}"));
            row("machine_learning_curated", format!("{who} {both} {time}"));
        }
    }
    tables
}

struct Site {
    lake: TestLake,
    servers: [TestServer; 2],
    /// Pseudonyms by e-mail.
    subjects: BTreeMap<String, String>,
}

impl Site {
    async fn start(count: usize) -> Self {
        let mut lake = TestLake::new().await;
        lake.config.consent.grace_seconds = Some(0);
        lake.load("customer_landing", customers(count)).await;
        for time in 1..=3 {
            let (movements, steps) = readings(count, time);
            lake.load("accelerometer_landing", movements).await;
            lake.load("step_trainer_landing", steps).await;
            lake.promote().await;
        }
        let all = lake.select("SELECT DISTINCT email, subject_id FROM customer_landing").await;
        let subjects = all.into_iter().map(|row| (row[0].clone(), row[1].clone())).collect();
        let servers =
            [TestServer::start(&lake.config).await, TestServer::start(&lake.config).await];
        Self { lake, servers, subjects }
    }

    async fn post(&self, server: usize, path: &str, body: String) -> (u16, Value) {
        let server = &self.servers[server % 2];
        let token = server.token(Role::Admin);
        let request = server.request(Method::POST, path, Some(&token));
        let request = request.header("content-type", "application/json").body(body);
        let answer = answered(request).await;
        (answer.status, answer.json())
    }

    /// What must not be in an answer any more about some customers.
    fn texts(&self, gone: &BTreeSet<usize>) -> Vec<String> {
        let of = |number: &usize| {
            let email = goes(*number);
            let subject = self.subjects[&email].clone();
            [subject, format!("\"{}\"", own(&email)), format!("\"S-{number}\"")]
        };
        gone.iter().flat_map(of).collect()
    }

    /// The rows of a table as the model has them.
    async fn rows(&self, server: usize, table: &str) -> BTreeSet<String> {
        let time = match table {
            "accelerometer_trusted" => ", timestamp",
            "customer_trusted" | "customer_curated" => "",
            _ => ", sensorreadingtime",
        };
        let sql = format!("SELECT subject_id, serialnumber{time} FROM {table}");
        let answer = self.servers[server].sql(Role::Admin, &sql).await;
        let emails: BTreeMap<&str, &str> =
            self.subjects.iter().map(|(email, id)| (id.as_str(), email.as_str())).collect();
        let all = answer.rows();
        let all = all.as_array().unwrap().iter();
        let rows: Vec<String> = all
            .map(|row| {
                let row = row.as_array().unwrap();
                let who = row[0].as_str().map_or("nobody", |id| emails[id]);
                let more = row[1..].iter().map(|value| value.to_string().replace('"', ""));
                [who.to_owned()].into_iter().chain(more).collect::<Vec<_>>().join(" ")
            })
            .collect();
        let set: BTreeSet<String> = rows.iter().cloned().collect();
        assert_eq!(set.len(), rows.len(), "{table}: a row is there twice");
        set
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_go_while_everything_goes_on() {
    let count = sized(100, 1000);
    println!("{count} customers");
    let site = Arc::new(Site::start(count).await);
    // What was asked before, and kept.
    let mut statements = Vec::new();
    for (number, table) in DERIVED.iter().enumerate() {
        let server = &site.servers[number % 2];
        let sql = format!("SELECT subject_id, serialnumber FROM {table}");
        let request = server.post_sql("/v1/statements", Role::Admin, &sql);
        let answer = answered(request.header("prefer", "wait=20")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        statements.push(answer.json()["id"].as_str().unwrap().to_owned());
    }
    let token = site.servers[0].token(Role::Admin);
    let newest = site.servers[0].json("/v1/tables/machine_learning_curated", Some(&token)).await.1;
    let then = newest["time"].as_str().unwrap().to_owned();
    let mut paths: Vec<String> =
        statements.iter().map(|id| format!("/v1/statements/{id}/result")).collect();
    for table in DERIVED {
        paths.push(format!("/v1/tables/{table}"));
        paths.push(format!("/v1/tables/{table}/history"));
    }
    let mut sql = Vec::new();
    for table in DERIVED {
        for version in ["", " VERSION AS OF 1", &format!(" TIMESTAMP AS OF '{then}'")] {
            sql.push(format!("SELECT subject_id, serialnumber FROM {table}{version}"));
        }
    }

    // One more server carries out what is asked.
    let carrier = App::open(&site.lake.config).await.unwrap();
    let (revocations, promotions) = (carrier.revocations.clone(), carrier.promotions.clone());
    let carrying = tokio::spawn(async move {
        tokio::join!(revocations.keep_working(), promotions.work().keep_working());
    });
    let gone = Arc::new(Mutex::new(BTreeSet::<usize>::new()));
    let (over, times) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(3)));
    let (looked, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));

    let loads = {
        let (site, over, times) = (Arc::clone(&site), Arc::clone(&over), Arc::clone(&times));
        tokio::spawn(async move {
            while !over.load(Ordering::SeqCst) && times.load(Ordering::SeqCst) < sized(12, 40) {
                let time = times.fetch_add(1, Ordering::SeqCst) + 1;
                let (movements, steps) = readings(count, time as i64);
                for (table, text) in
                    [("accelerometer_landing", movements), ("step_trainer_landing", steps)]
                {
                    let path = format!("/v1/landing/{table}");
                    let (status, result) = site.post(time, &path, text).await;
                    assert_eq!(status, 200, "{result}");
                }
                // A profile that repeats an old date brings nobody back.
                let again = record(&goes(time % count), &own(&goes(time % count)), 100, 1000);
                let (status, result) = site.post(time, "/v1/landing/customer_landing", again).await;
                assert_eq!(status, 200, "{result}");
                let (status, run) = site.post(time + 1, "/v1/promotions", "{}".to_owned()).await;
                // As many wait as may wait.
                assert!([200, 202, 429].contains(&status), "{run}");
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        })
    };
    let readers = (0..3_usize).map(|reader| {
        let (site, over, gone) = (Arc::clone(&site), Arc::clone(&over), Arc::clone(&gone));
        let (looked, seen) = (Arc::clone(&looked), Arc::clone(&seen));
        let (paths, sql) = (paths.clone(), sql.clone());
        tokio::spawn(async move {
            let mut turn = reader;
            // Once more when all is over.
            let mut last = 0;
            while last < paths.len() + sql.len() {
                last += usize::from(over.load(Ordering::SeqCst));
                turn += 1;
                let server = &site.servers[(turn + turn / 50) % 2];
                let texts = site.texts(&gone.lock().unwrap().clone());
                let token = server.token(Role::Admin);
                let (what, answer) = match turn % 4 {
                    0 => {
                        let path = &paths[turn / 4 % paths.len()];
                        let request = server.request(Method::GET, path, Some(&token));
                        (path, answered(request).await)
                    }
                    _ => {
                        let sql = &sql[(turn - turn / 4) % sql.len()];
                        (sql, server.sql(Role::Admin, sql).await)
                    }
                };
                // It may be refused, for reasons of which rows are none.
                assert!([200, 404, 410, 503].contains(&answer.status), "{what}: {}", answer.text());
                let text = String::from_utf8_lossy(&answer.body);
                let found: Vec<&String> =
                    texts.iter().filter(|gone| text.contains(gone.as_str())).collect();
                assert!(found.is_empty(), "{what}: {found:?} is there");
                looked.fetch_add(1, Ordering::SeqCst);
                if answer.status == 200 && !what.starts_with('/') {
                    seen.fetch_add(usize::from(text.contains("Q-kept0x")), Ordering::SeqCst);
                }
            }
        })
    });
    let readers: Vec<_> = readers.collect();

    // Some alone, the others together; two at a time, each at another server.
    let mut asks: Vec<Vec<usize>> = (0..count).step_by(20).map(|first| vec![first]).collect();
    let others: Vec<usize> = (0..count).filter(|number| number % 20 != 0).collect();
    asks.extend(others.chunks(sized(16, 50)).map(<[usize]>::to_vec));
    let asks = Arc::new(Mutex::new(asks));
    let began = Instant::now();
    let revokers = (0..2_usize).map(|revoker| {
        let (site, asks, gone) = (Arc::clone(&site), Arc::clone(&asks), Arc::clone(&gone));
        tokio::spawn(async move {
            let mut ids = Vec::new();
            loop {
                let Some(some) = asks.lock().unwrap().pop() else { return ids };
                // By device, or by e-mail.
                let of = |number: &usize| match number % 2 {
                    0 => json!({ "serialnumber": own(&goes(*number)) }),
                    _ => json!({ "email": goes(*number) }),
                };
                let body = json!({ "requests": some.iter().map(of).collect::<Vec<_>>() });
                let (status, run) = site.post(revoker, "/v1/revocations", body.to_string()).await;
                assert!([200, 202].contains(&status), "{run}");
                assert!(run["acknowledged"].is_i64(), "{run}");
                gone.lock().unwrap().extend(some);
                ids.push(run["id"].as_str().unwrap().to_owned());
            }
        })
    });
    let revokers: Vec<_> = revokers.collect();
    let mut ids = Vec::new();
    for revoker in revokers {
        ids.extend(revoker.await.unwrap());
    }
    println!("{} revocations acknowledged within {:?}", ids.len(), began.elapsed());
    for id in &ids {
        let ended = carrier.revocations.work().wait(id, Duration::from_secs(600)).await.unwrap();
        assert_eq!(ended.state, WorkState::Succeeded, "{ended:?}");
    }
    over.store(true, Ordering::SeqCst);
    for task in readers.into_iter().chain([loads]) {
        task.await.unwrap();
    }
    carrying.abort();
    println!(
        "{} answers looked at, {seen:?} with rows, {:?}",
        looked.load(Ordering::SeqCst),
        began.elapsed()
    );
    assert!(seen.load(Ordering::SeqCst) > 20, "nobody read anything");
    // A promotion that was begun may be under way, or left; its lease runs out.
    site.lake.promote().await;
    let times = times.load(Ordering::SeqCst) as i64;
    for (table, wanted) in model(times) {
        for server in 0..2 {
            assert_eq!(site.rows(server, table).await, wanted, "{table}");
        }
    }
}

/// Two servers in folders of their own, with the same keys, over a bucket.
#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(
    not(all(seaweedfs, python_readers)),
    ignore = "SeaweedFS is not installed; tests/run installs it"
)]
async fn over_a_bucket_the_other_server_obeys_at_once() {
    const TOML: &str = "[consent]\ngrace_seconds = 3600\n[maintenance]\nevery_seconds = 0\n";
    let s3 = SeaweedFs::start();
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let start = async |folder: usize| {
        Serving::start_with(folders[folder].path(), TOML, |command| {
            command.args(["--storage", "s3://lake/two"]).envs(s3.environment());
        })
        .await
    };
    let one = start(0).await;
    let keys = |folder: usize| folders[folder].path().join(".stedi");
    std::fs::create_dir(keys(1)).unwrap();
    for file in std::fs::read_dir(keys(0)).unwrap() {
        let file = file.unwrap();
        if file
            .path()
            .extension()
            .is_some_and(|extension| extension.to_string_lossy().starts_with("key"))
        {
            std::fs::copy(file.path(), keys(1).join(file.file_name())).unwrap();
        }
    }
    let servers = [one, start(1).await];
    let post = async |server: usize, path: &str, body: String| {
        let server = &servers[server];
        let token = server.token(Role::Admin, "admin");
        let request = server.http.post(format!("{}{path}", server.url)).bearer_auth(token);
        let request = request.header("content-type", "application/json");
        let answer = answered(request.header("prefer", "wait=60").body(body)).await;
        (answer.status, answer.json())
    };
    let (movements, steps) = readings(6, 1);
    for (table, text) in [
        ("customer_landing", customers(6)),
        ("accelerometer_landing", movements),
        ("step_trainer_landing", steps),
    ] {
        let (status, result) = post(0, &format!("/v1/landing/{table}"), text).await;
        assert_eq!(status, 200, "{result}");
    }
    let (status, run) = post(0, "/v1/promotions", "{}".to_owned()).await;
    assert_eq!((status, &run["state"]), (200, &json!("succeeded")), "{run}");
    let rows = async |server: usize, number: usize, version: &str| {
        let mut counts = Vec::new();
        for table in DERIVED {
            let sql = format!(
                "SELECT count(*) FROM {table}{version} WHERE serialnumber IN ('{}', 'S-{number}')",
                own(&goes(number))
            );
            let began = Instant::now();
            let count = loop {
                let body = json!({ "sql": sql }).to_string();
                let (status, answer) = post(server, "/v1/sql", body).await;
                if status == 503 && began.elapsed() < Duration::from_secs(10) {
                    continue;
                }
                // What is purged shows nobody.
                if status == 410 {
                    break 0;
                }
                assert_eq!(status, 200, "{answer}");
                break answer["rows"][0][0].as_i64().unwrap();
            };
            counts.push(count);
        }
        counts
    };
    for number in 0..6 {
        let (at, other) = (number % 2, (number + 1) % 2);
        // All was read there before, and is fresh in what it remembers: what it knew before the promotion
        // may be as old as `lake.staleness_ms`.
        let since = Instant::now();
        let mut there = rows(other, number, "").await;
        while there != [1, 1, 1, 2, 2 + 1] {
            assert!(since.elapsed() < Duration::from_secs(10), "{there:?}");
            there = rows(other, number, "").await;
        }
        let body = json!({ "email": goes(number) }).to_string();
        let server = &servers[at];
        let token = server.token(Role::Admin, "admin");
        let request = server.http.post(format!("{}/v1/revocations", server.url)).bearer_auth(token);
        let answer = request.header("content-type", "application/json").body(body).send().await;
        let run: Value = answer.unwrap().json().await.unwrap();
        assert!(run["acknowledged"].is_i64(), "{run}");
        for version in ["", " VERSION AS OF 1"] {
            assert_eq!(rows(other, number, version).await, [0; 5], "{version}");
        }
    }
}
