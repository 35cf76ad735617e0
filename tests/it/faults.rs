//! A store that fails by chance, before and after it did what it was asked: no row is lost or doubled,
//! and no answer is wrong.

pub mod workload;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use stedi_server::auth::Role;
use stedi_server::config::Config;

use crate::readers::TABLES;
use crate::support::{
    Dice, Faults, Proxy, SeaweedFs, Serving, TestLake, author, replay, replayed_rows, seed, server,
    sized,
};
use crate::writers::share_keys;
use workload::{Ledger, Load, SOURCES, Sent};

/// How long the server waits for the store.
const TIMEOUT: &str = "5s";
const ROOT: &str = "s3://lake/faults";
/// Loads that are sent beside each promotion.
const LOADS: usize = 6;
/// How often a client sends a load again that failed, at most.
const AGAIN: usize = 3;

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(
    not(all(seaweedfs, python_readers)),
    ignore = "SeaweedFS is not installed; tests/run installs it"
)]
async fn no_row_is_lost_or_doubled_by_faults_of_the_store() {
    let (seed, wanted) = (seed(), sized(80, 500));
    println!("seed {seed}, at least {wanted} faults (STEDI_TEST_SEED repeats it)");
    let s3 = SeaweedFs::start();
    let direct = s3.environment();
    let faults = Arc::new(Faults::new(seed));
    let harm = Arc::clone(&faults);
    let proxy = Proxy::start(&s3.endpoint(), move |line| harm.fate(line));
    let mut harmed = proxy.through(&direct);
    harmed.push(("AWS_TIMEOUT".to_owned(), TIMEOUT.to_owned()));

    let folder = tempfile::tempdir().unwrap();
    let serving =
        Serving::start_with(folder.path(), "[http]\nrequest_seconds = 600\n", |command| {
            command.args(["--storage", ROOT]).envs(harmed.iter().cloned());
        })
        .await;
    let promoter = Promoter::new(&folder.path().join(".stedi"));
    let mut ledger = Ledger::new(seed);
    let mut dice = Dice::new(seed ^ 0xf417);
    let began = Instant::now();
    let (mut promoted, mut failed) = (0, 0);
    faults.quiet(false);
    while faults.count() < wanted {
        let promotion = promoter.start(&harmed);
        for _ in 0..LOADS {
            let load = ledger.next();
            send(&serving, &mut ledger, load, &mut dice).await;
        }
        match promotion.await.unwrap() {
            true => promoted += 1,
            false => failed += 1,
        }
    }
    faults.quiet(true);
    println!(
        "{} faults in {:.0} s\n{}{}  {promoted} promotions succeeded, {failed} failed",
        faults.count(),
        began.elapsed().as_secs_f64(),
        faults.report(),
        ledger.report(),
    );
    assert!(promoted > 0, "no promotion got through");
    assert_eq!(serving.process.terminate(), Some(0));
    // Whatever was reported, the next run completes.
    assert!(promoter.start(&direct).await.unwrap());
    let there = landed(&ledger, &direct);
    same_as_without_faults(&folder.path().join(".stedi"), &ledger, &there, &direct).await;
}

/// Sends a load, and maybe again after an error, as clients do.
async fn send(serving: &Serving, ledger: &mut Ledger, number: usize, dice: &mut Dice) {
    for _ in 0..1 + dice.below(AGAIN) {
        let Load { table, text, .. } = &ledger.loads[number];
        let request = serving.http.post(format!("{}/v1/landing/{table}", serving.url));
        let request = request.bearer_auth(serving.token(Role::Ingest, "client"));
        let answer = request.body(text.clone()).send().await.unwrap();
        let sent = match answer.status().as_u16() {
            200 => Sent::Answered(answer.json().await.unwrap()),
            409 | 500 | 503 => Sent::Failed,
            other => panic!("{other}: {}", answer.text().await.unwrap()),
        };
        if ledger.note(number, sent) {
            return;
        }
    }
}

/// Promotes by a process of its own.
struct Promoter {
    folder: tempfile::TempDir,
}

impl Promoter {
    fn new(state: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        share_keys(state, &folder.path().join("state"));
        let source = folder.path().join("source/step_trainer");
        std::fs::create_dir_all(&source).unwrap();
        // Something to load, which names no device of the workload.
        let text = r#"{"sensorReadingTime":1,"serialNumber":"nobody","distanceFromObject":-1}"#;
        std::fs::write(source.join("one.json"), text).unwrap();
        Self { folder }
    }

    /// Whether it succeeds.
    fn start(&self, environment: &[(String, String)]) -> tokio::task::JoinHandle<bool> {
        let mut command = server();
        command
            .args(["demo", "--exit", "--storage", ROOT, "--state-dir"])
            .arg(self.folder.path().join("state"))
            .arg("--source")
            .arg(self.folder.path().join("source"))
            .envs(environment.iter().cloned());
        tokio::task::spawn_blocking(move || {
            let output = command.output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(!errors.contains("panicked"), "{errors}");
            if !output.status.success() {
                // The last line says why.
                println!("  a promotion failed: {}", errors.lines().last().unwrap_or_default());
            }
            output.status.success()
        })
    }
}

/// The loads that are in the landing tables: each wholly and once, and every one that was
/// acknowledged.
fn landed(ledger: &Ledger, environment: &[(String, String)]) -> BTreeSet<usize> {
    let mut there = BTreeSet::new();
    for (table, column) in SOURCES {
        let mut rows: BTreeMap<i64, usize> = BTreeMap::new();
        let folder = format!("landing/{table}");
        for row in replayed_rows(ROOT, &folder, &[column], environment) {
            let id = row[0].as_f64().unwrap() as i64;
            if id >= 0 {
                *rows.entry(id).or_default() += 1;
            }
        }
        let mut expected: BTreeMap<i64, usize> = BTreeMap::new();
        for (number, load) in ledger.loads.iter().enumerate().filter(|(_, l)| l.table == table) {
            // Its first row is in no other load.
            let present = rows.contains_key(&load.ids[0]);
            assert!(present || !load.acknowledged, "{table}: load {number} is lost");
            if present {
                there.insert(number);
                for id in &load.ids {
                    *expected.entry(*id).or_default() += 1;
                }
            }
        }
        assert_eq!(rows, expected, "{table}");
    }
    there
}

/// Another lake with the same loads and the same key, which met no faults, has the same derived tables.
async fn same_as_without_faults(
    state: &Path,
    ledger: &Ledger,
    there: &BTreeSet<usize>,
    environment: &[(String, String)],
) {
    let folder = tempfile::tempdir().unwrap();
    share_keys(state, &folder.path().join("state"));
    let config = Config {
        storage: folder.path().join("lake").to_str().unwrap().to_owned(),
        state_dir: folder.path().join("state"),
        ..Config::default()
    };
    let fresh = TestLake::open(config, folder).await;
    for load in there.iter().map(|number| &ledger.loads[*number]) {
        fresh.load(load.table, load.text.clone()).await;
    }
    fresh.app.promotion.run(&author(), |_| {}).await.unwrap();
    let expected = replay(fresh.root().to_str().unwrap(), &TABLES, &[]);
    let tables: Vec<&str> = TABLES.into_iter().chain(["system/audit"]).collect();
    let found = replay(ROOT, &tables, environment);
    for table in &TABLES[3..] {
        let (found, expected) = (&found[*table], &expected[*table]);
        println!("{table}: {} rows, version {}", found.rows, found.version);
        assert!(expected.rows > 0, "{table}: the workload shows nothing");
        assert_eq!((found.rows, &found.digest), (expected.rows, &expected.digest), "{table}");
        assert_eq!(found.rows, found.distinct, "{table} is a set");
        assert_eq!(found.inserted - found.deleted, found.rows, "{table}");
    }
    let audit = &found["system/audit"];
    assert_eq!(audit.rows, audit.distinct, "the audit holds a record twice");
}
