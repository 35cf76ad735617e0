//! Two servers on one lake: what one has begun the other finishes, when it is killed, cut off from the
//! store, or paused; and who comes back late commits nothing of it any more.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Gate, Proxy, SeaweedFs, Serving, Site, customer};
use crate::writers::share_keys;

const TOML: &str = "[consent]\ngrace_seconds = 0\nlease_seconds = 2\n[promotion]\nlease_seconds = 2\nafter_load_seconds = -1\n\
    [maintenance]\nevery_seconds = 0\nlease_seconds = 2\nmin_files = 2\n[lake]\nstaleness_ms = 0\n";
const PROMOTIONS: &str = "/v1/promotions";
/// How long something may take to come.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than all leases.
const LATE: Duration = Duration::from_millis(2500);

/// How the first server goes.
#[derive(Clone, Copy, PartialEq)]
enum Away {
    /// SIGKILL.
    Killed,
    /// Nothing reaches the store for a while. What was sent before arrives late.
    Cut,
    /// The process stands still for a while (SIGSTOP): it does not even know that time passes.
    Paused,
}

async fn start(folder: &Path, environment: &[(String, String)]) -> Site {
    start_as(TOML, folder, environment).await
}

async fn start_as(toml: &str, folder: &Path, environment: &[(String, String)]) -> Site {
    std::fs::create_dir_all(folder).unwrap();
    let serving = Serving::start_with(folder, toml, |command| {
        command.args(["--storage", "s3://lake/two"]).envs(environment.iter().cloned());
    });
    Site { serving: serving.await }
}

fn signal(site: &Site, signal: &str) {
    let id = site.serving.process.0.id().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
}

/// Work that one server begins and another one ends: where it is asked for and with what, the request at
/// which the first one goes, and what counts as a commit of it.
struct Case {
    path: &'static str,
    body: Value,
    at: fn(&str) -> bool,
    commits: fn(&str) -> bool,
}

/// A commit of a table, by the first line of a request.
fn is_commit(line: &str) -> bool {
    let log = line.starts_with("PUT ") && line.contains("/_delta_log/");
    log && !line.contains("/system/")
}

async fn moves(case: Case, away: Away) {
    let s3 = SeaweedFs::start();
    let direct = s3.environment();
    let folder = tempfile::tempdir().unwrap();
    let gate = Arc::new(Gate::default());
    let proxy = gate.proxy(&s3, case.at, case.commits);
    let one = start(&folder.path().join("one"), &proxy.through(&direct)).await;
    one.customers(&["ada", "bob"]).await;
    let more = json!({ "user": "bob@rev", "timestamp": 5, "x": 9, "y": 9, "z": 9 });
    one.load("accelerometer_landing", more.to_string()).await;
    if case.path != PROMOTIONS {
        one.promote().await;
    }

    gate.armed.store(true, Ordering::SeqCst);
    let asked = one.post(case.path).json(&case.body).send();
    let asked = tokio::time::timeout(PATIENCE, asked).await.unwrap().unwrap();
    assert!([200, 202].contains(&asked.status().as_u16()), "{}", asked.status());
    let work: Value = asked.json().await.unwrap();
    let path = format!("{}/{}", case.path, work["id"].as_str().unwrap());
    gate.is_shut().await;
    let mut one = Some(one);
    match away {
        Away::Killed => one.take().unwrap().serving.process.kill(),
        Away::Cut => {}
        Away::Paused => {
            signal(one.as_ref().unwrap(), "-STOP");
            // What it asked for is done, and it does not see it.
            gate.shut.store(false, Ordering::SeqCst);
        }
    }
    let other = folder.path().join("other");
    share_keys(&folder.path().join("one/.stedi"), &other.join(".stedi"));
    let other = start(&other, &direct).await;
    let ended = other.ended(&path).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    assert!(ended["attempts"].as_u64() >= Some(2), "{ended}");
    let tables = ["accelerometer_landing", "customer_trusted", "machine_learning_curated"];
    let state = async |site: &Site| {
        let mut state = Vec::new();
        for table in tables {
            let rows = site.sql(&format!("SELECT count(*) FROM {table}")).await;
            let about = site.serving.json(&format!("/v1/tables/{table}")).await;
            state.push((table, rows, about["version"].clone()));
        }
        state
    };
    let expected = state(&other).await;
    gate.open();
    if let Some(one) = one {
        if away == Away::Paused {
            signal(&one, "-CONT");
        }
        tokio::time::sleep(LATE).await;
        assert_eq!(gate.late.load(Ordering::SeqCst), 0, "it commits without its lease");
        // It is a server like the other one again.
        assert_eq!(state(&one).await, expected);
        assert_eq!(one.serving.json(&path).await, ended);
        assert!(one.promote().await.iter().all(|mode| mode == "nothing"));
    }
    assert_eq!(state(&other).await, expected);
}

fn promotion() -> Case {
    Case {
        path: PROMOTIONS,
        body: json!({}),
        at: |line| {
            let put = line.starts_with("PUT ") && line.contains("/trusted/accelerometer_trusted/");
            put && line.contains(".parquet")
        },
        commits: is_commit,
    }
}

fn maintenance() -> Case {
    Case {
        path: "/v1/maintenance",
        body: json!({ "tables": ["accelerometer_landing"] }),
        at: |line| {
            line.starts_with("PUT ") && line.contains("/landing/accelerometer_landing/rewritten/")
        },
        commits: is_commit,
    }
}

/// The saga's turn is behind that of the promotion, which is taken over by itself.
fn revocation(at: fn(&str) -> bool) -> Case {
    Case {
        path: "/v1/revocations",
        body: json!({ "email": "ada@rev" }),
        at,
        commits: |line| {
            let put = line.starts_with("PUT ");
            is_commit(line)
                || put && line.contains("/system/purges/")
                || put && line.contains("/system/certificates/")
                || put && line.contains("/system/deny/")
                || line.starts_with("POST ") && line.contains("delete")
        },
    }
}

fn purges(line: &str) -> bool {
    line.starts_with("PUT ") && line.contains("/system/purges/")
}

fn certifies(line: &str) -> bool {
    line.starts_with("PUT ") && line.contains("/system/certificates/")
}

macro_rules! moves {
    ($($name:ident: $case:expr, $away:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        #[cfg_attr(
            not(all(seaweedfs, python_readers)),
            ignore = "SeaweedFS is not installed; tests/run installs it"
        )]
        async fn $name() {
            moves($case, Away::$away).await;
        }
    )*};
}

moves! {
    a_promotion_of_a_server_that_is_cut_off: promotion(), Cut;
    a_promotion_of_a_server_that_is_paused: promotion(), Paused;
    maintenance_of_a_server_that_is_killed: maintenance(), Killed;
    maintenance_of_a_server_that_is_cut_off: maintenance(), Cut;
    maintenance_of_a_server_that_is_paused: maintenance(), Paused;
    a_revocation_of_a_server_that_is_killed: revocation(purges), Killed;
    a_revocation_of_a_server_that_is_cut_off: revocation(purges), Cut;
    a_revocation_of_a_server_that_is_paused: revocation(certifies), Paused;
}

/// Two servers, of which the first one has its door to the store, and ada and bob are known.
struct Two {
    gate: Arc<Gate>,
    one: Site,
    other: Site,
    _s3: SeaweedFs,
    _proxy: Proxy,
    _folder: TempDir,
}

impl Two {
    /// Nobody takes consent's work over from a server that stands still for a while.
    async fn start(shuts: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        let short = "grace_seconds = 0\nlease_seconds = 2";
        assert!(TOML.contains(short));
        let toml = TOML.replacen(short, "grace_seconds = 0\nlease_seconds = 600", 1);
        let s3 = SeaweedFs::start();
        let direct = s3.environment();
        let folder = tempfile::tempdir().unwrap();
        let gate = Arc::new(Gate::default());
        let proxy = gate.proxy(&s3, shuts, |_| false);
        let one = start_as(&toml, &folder.path().join("one"), &proxy.through(&direct)).await;
        one.customers(&["ada", "bob"]).await;
        let other = folder.path().join("other");
        share_keys(&folder.path().join("one/.stedi"), &other.join(".stedi"));
        let other = start_as(&toml, &other, &direct).await;
        gate.armed.store(true, Ordering::SeqCst);
        Self { gate, one, other, _s3: s3, _proxy: proxy, _folder: folder }
    }
}

/// An erasure is acknowledged before anything is deleted, and from then on no server takes a record of
/// whoever goes.
#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(
    not(all(seaweedfs, python_readers)),
    ignore = "SeaweedFS is not installed; tests/run installs it"
)]
async fn who_is_acknowledged_is_kept_out_before_anything_is_erased() {
    // It is denied and acknowledged, and it is being looked for what is to be erased.
    let denied = AtomicBool::new(false);
    let looks = move |line: &str| {
        denied
            .fetch_or(line.starts_with("PUT ") && line.contains("/system/deny/"), Ordering::SeqCst);
        let reads = line.starts_with("GET ") && line.contains("/landing/");
        reads && line.contains(".parquet") && denied.load(Ordering::SeqCst)
    };
    let Two { gate, one, other, .. } = &Two::start(looks).await;
    let asked = one.post("/v1/erasures").json(&json!({ "email": "ada@rev" }));
    let asked = tokio::spawn(asked.send());
    gate.is_shut().await;
    let list = other.serving.json("/v1/erasures").await;
    let erasure = &list["erasures"][0];
    assert!(erasure["acknowledged"].is_u64() && erasure["state"] == "running", "{list}");
    let send = async |table: &str, record: String| {
        let result = other.load(table, record).await;
        (result["accepted"].as_u64().unwrap(), result["suppressed"].as_u64().unwrap())
    };
    assert_eq!(send("customer_landing", customer("ada", 20, 1000)).await, (0, 1));
    let late = json!({ "user": "ada@rev", "timestamp": 5, "x": 9, "y": 9, "z": 9 });
    assert_eq!(send("accelerometer_landing", late.to_string()).await, (0, 1));
    assert_eq!(send("customer_landing", customer("eve", 20, 1000)).await, (1, 0));

    gate.open();
    asked.await.unwrap().unwrap();
    let path = format!("/v1/erasures/{}", erasure["id"].as_str().unwrap());
    let ended = other.ended(&path).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let left = "SELECT count(*) FROM customer_landing WHERE email = 'ada@rev'";
    assert_eq!(other.sql(left).await, json!([[0]]));
}

/// A hold that comes after it was looked for holds, and before the erasure is acknowledged, waits to know
/// which of the two it is.
#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(
    not(all(seaweedfs, python_readers)),
    ignore = "SeaweedFS is not installed; tests/run installs it"
)]
async fn a_hold_waits_for_the_erasure_that_another_server_acknowledges() {
    let denies = |line: &str| line.starts_with("PUT ") && line.contains("/system/deny/");
    let Two { gate, one, other, .. } = &Two::start(denies).await;
    let asked = tokio::spawn(one.post("/v1/erasures").json(&json!({ "email": "ada@rev" })).send());
    gate.is_shut().await;
    let hold = |name: &str| {
        let body = json!({ "email": format!("{name}@rev"), "reason": "claim 119" });
        other.post("/v1/legal-holds").json(&body).send()
    };
    let hers = tokio::spawn(hold("ada"));
    // Whom no erasure names waits for none.
    assert_eq!(hold("bob").await.unwrap().status(), 201);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!hers.is_finished(), "{:?}", hers.await.unwrap().unwrap().text().await);
    gate.open();
    let erasure = asked.await.unwrap().unwrap();
    assert_eq!(erasure.status(), 202);
    let erasure: Value = erasure.json().await.unwrap();
    let hold = hers.await.unwrap().unwrap();
    assert_eq!(hold.status(), 201);
    let hold: Value = hold.json().await.unwrap();
    assert_eq!(hold["erasure"], erasure["id"], "{hold}");
    let path = format!("/v1/erasures/{}", erasure["id"].as_str().unwrap());
    assert_eq!(other.ended(&path).await["state"], "succeeded");
}
