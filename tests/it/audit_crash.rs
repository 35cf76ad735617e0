//! No record is lost whose answer was sent, and none is there twice, whenever the server is killed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use stedi_server::auth::Role;
use stedi_server::ledger::audit::{Action, Audit, Draft, Filter};

use crate::support::{Serving, TestLake};

/// Requests under way at the same time.
const CALLERS: usize = 8;

/// How often each principal's denied request is recorded.
async fn recorded(serving: &Serving) -> BTreeMap<String, usize> {
    let mut recorded = BTreeMap::new();
    let mut ids = BTreeSet::new();
    let mut after = String::new();
    loop {
        let path = format!("/v1/audit?action=denied&limit=1000{after}");
        let page = serving.json(&path).await;
        for record in page["records"].as_array().unwrap() {
            assert_eq!(record["outcome"], "denied");
            assert!(ids.insert(record["id"].as_str().unwrap().to_owned()));
            *recorded.entry(record["principal"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return recorded,
        }
    }
}

/// Asks for what is denied, each time as somebody else, until the server is gone. The principals
/// who got their answer.
async fn denied(
    url: String,
    tokens: Vec<(String, String)>,
    count: Arc<AtomicUsize>,
) -> Vec<String> {
    let http = reqwest::Client::new();
    let mut answered = Vec::new();
    for (subject, token) in tokens {
        match http.get(format!("{url}/v1/audit")).bearer_auth(token).send().await {
            Ok(answer) => assert_eq!(answer.status(), 403),
            Err(_) => break,
        }
        answered.push(subject);
        count.fetch_add(1, Ordering::SeqCst);
    }
    answered
}

/// Data files of the audit's table.
fn data_files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder.join(".stedi/lake/system/audit")).unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(".parquet")).count()
}

async fn sound(serving: &Serving) {
    let report: Value = serving.json("/v1/audit/verify").await;
    assert_eq!(report["ok"], true, "{report}");
}

/// Rounds of asking and killing; `kill` waits for the moment.
async fn rounds(flush_ms: u64, rounds: usize, kill: impl AsyncFn(&Path, usize, &AtomicUsize)) {
    let folder = tempfile::tempdir().unwrap();
    let toml = format!("[audit]\nflush_ms = {flush_ms}\n");
    let mut answered = BTreeSet::new();
    for round in 0..rounds {
        let serving = Serving::start(folder.path(), &toml).await;
        let count = Arc::new(AtomicUsize::new(0));
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                // Few enough for each to be of a kind of its own.
                let subjects = (0..30).map(|n| format!("r{round}c{caller}n{n}"));
                let tokens = subjects.map(|s| (s.clone(), serving.token(Role::Analyst, &s)));
                tokio::spawn(denied(serving.url.clone(), tokens.collect(), Arc::clone(&count)))
            })
            .collect();
        kill(folder.path(), round, &count).await;
        serving.process.kill();
        for caller in callers {
            answered.extend(caller.await.unwrap());
        }
    }
    let serving = Serving::start(folder.path(), &toml).await;
    let recorded = recorded(&serving).await;
    for subject in &answered {
        assert_eq!(recorded.get(subject), Some(&1), "{subject} got an answer");
    }
    assert!(recorded.values().all(|times| *times == 1), "{recorded:?}");
    assert!(answered.len() >= rounds, "only {} requests were answered", answered.len());
    sound(&serving).await;
    assert_eq!(serving.process.terminate(), Some(0));
    // A graceful stop leaves nothing for the next start.
    assert_eq!(journal(&folder.path().join(".stedi")), Vec::<PathBuf>::new());
}

/// The segments of all journals of a state folder.
pub fn journal(state_dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![state_dir.join("audit")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|e| e == "journal") => found.push(path),
                false => {}
            }
        }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_anything_is_in_the_table() {
    rounds(3_600_000, 3, async |_, round, answered| {
        while answered.load(Ordering::SeqCst) < 1 + 50 * round {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_records_are_appended() {
    rounds(1, 8, async |folder, round, _| {
        let before = data_files(folder);
        let started = Instant::now();
        // A data file is there, and its commit may be or not; some rounds a little later.
        while data_files(folder) < before + 1 + round % 3 {
            assert!(started.elapsed() < Duration::from_secs(30), "nothing is appended");
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        tokio::time::sleep(Duration::from_millis(4 * (round as u64 / 3))).await;
    })
    .await;
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => {
                std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
            }
        }
    }
}

async fn reopened(lake: &TestLake, state_dir: &Path) -> Audit {
    let limits = stedi_server::ledger::audit::AuditLimits {
        sync: true,
        flush: Duration::from_secs(3600),
        batch_rows: 10_000,
        journal_bytes: 1 << 20,
        denied_window: Duration::from_secs(60),
    };
    Audit::open(&lake.app.lake, state_dir, limits, []).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_streaming_is_interrupted_once() {
    let lake = TestLake::new().await;
    let folders: Vec<_> = (0..4).map(|_| tempfile::tempdir().unwrap()).collect();
    let audit = reopened(&lake, folders[0].path()).await;
    let mut open = audit.prepare(Draft::new(Action::Sql, "streaming"));
    open.leave().await.unwrap();
    let ended = audit.begin(Draft::new(Action::Sql, "ended")).await.unwrap();
    let id = open.id().to_owned();

    // The server is gone at three moments: at once, after the segment that the action began in
    // was trimmed, and after the next start wrote its record down and did not get further.
    copy(folders[0].path(), folders[1].path());
    ended.end(stedi_server::ledger::audit::End::ok()).await.unwrap();
    audit.flush().await.unwrap();
    copy(folders[0].path(), folders[2].path());
    drop(audit);

    // The copy from before the flush is older than the table: its server begins a chain of its own
    // and writes nothing down that the table may hold.
    let older = reopened(&lake, folders[1].path()).await;
    let found = older.find(&Filter { limit: 10, ..Filter::default() }).await.unwrap();
    assert_eq!(found.records.len(), 1, "{found:?}");
    drop(older);

    for _ in 0..3 {
        let next = reopened(&lake, folders[2].path()).await;
        let found = next.find(&Filter { limit: 10, ..Filter::default() }).await.unwrap();
        let outcomes: Vec<_> = found
            .records
            .iter()
            .map(|row| (row.facts.resource.as_str(), row.facts.outcome.as_str()))
            .collect();
        assert_eq!(outcomes, [("ended", "ok"), ("streaming", "interrupted")]);
        assert_eq!(found.records[1].facts.id, id);
        assert!(next.verify().await.unwrap().is_sound());
        next.close(Duration::from_secs(10)).await;
        copy(folders[2].path(), folders[3].path());
    }
    std::mem::forget(open);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_end_of_the_journal_costs_nothing_and_a_changed_line_is_reported() {
    let toml = "[audit]\nflush_ms = 3600000\n";
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join(".stedi");
    let ask = async |serving: &Serving, names: [&str; 3]| {
        for name in names {
            let tokens = vec![(name.to_owned(), serving.token(Role::Analyst, name))];
            assert_eq!(denied(serving.url.clone(), tokens, Arc::default()).await.len(), 1);
        }
    };
    let serving = Serving::start(folder.path(), toml).await;
    ask(&serving, ["a", "b", "c"]).await;
    serving.process.kill();
    let [segment] = &journal(&state)[..] else { panic!("one segment is expected") };
    let mut bytes = std::fs::read(segment).unwrap();
    assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 3);
    bytes.extend_from_slice(b"0123456789abcdef0123456789abcdef [{\"row\":{\"cha");
    std::fs::write(segment, &bytes).unwrap();

    let serving = Serving::start(folder.path(), toml).await;
    assert_eq!(recorded(&serving).await.len(), 3);
    sound(&serving).await;
    ask(&serving, ["d", "e", "f"]).await;
    serving.process.kill();
    let segments = journal(&state);
    let segment = segments.last().unwrap();
    let text = std::fs::read_to_string(segment).unwrap();
    assert!(text.contains("\"value\":\"e\""), "{text}");
    std::fs::write(segment, text.replace("\"value\":\"e\"", "\"value\":\"x\"")).unwrap();

    let serving = Serving::start(folder.path(), toml).await;
    let left: Vec<_> = recorded(&serving).await.into_keys().collect();
    assert_eq!(left, ["a", "b", "c", "d", "f"]);
    let report = serving.json("/v1/audit/verify").await;
    assert_eq!(report["ok"], false);
    assert_eq!(report["journal"][0]["reason"], "the checksum is not that of the line");
    let broken = report["chains"][0]["break"]["reason"].as_str().unwrap();
    assert!(broken.ends_with("are missing"), "{broken}");
}
