//! Statements of somebody who wishes the server ill: `tests/fixture/hostile.toml`.
//!
//! Each is sent by an analyst, and most by an admin too, to a server with small limits. What it may be
//! answered with is said there; what holds for all of them is here: no file is touched, no
//! connection is made, no answer tells of the machine or of the engine, memory stays under its
//! cap, and afterwards the server answers as before.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, FileTimes};
use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use futures::StreamExt;
use reqwest::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use serde_json::{Value, json};
use stedi_openapi::Code;
use stedi_server::auth::Role;
use stedi_server::sample::Sample;

use crate::support::{Service, TestLake};

/// Small limits, so that a statement reaches them soon.
const CONFIG: &str = r#"
[memory]
pool_bytes = 268_435_456
spill_bytes = 268_435_456
[limits]
statements_at_once = 8
[limits.roles.analyst]
seconds = 2
rows = 100_000
bytes = 33_554_432
memory_bytes = 67_108_864
[limits.roles.admin]
seconds = 2
rows = 100_000
bytes = 33_554_432
memory_bytes = 67_108_864
"#;
/// What a statement may take at most, its limit and what the machine is slow by.
const PATIENCE: Duration = Duration::from_secs(30);
/// Statements that are under way at one time.
const AT_ONCE: usize = 4;
/// The cap of memory: twice the pool, and what a server in an unoptimised build holds anyway.
const CAP: u64 = 1_000_000_000;
/// In no answer, whoever asks.
const CANARY: &str = "CANARY-5f1d7c";
/// In no answer, unless the statement says it itself: names of the engine, words of its plans,
/// paths of this machine and of the one that compiled it.
const UNTOLD: [&str; 18] = [
    "datafusion",
    "DataFusion",
    "panicked",
    "TableScan",
    "Projection:",
    "LogicalPlan",
    "DataSourceExec",
    "DeltaScan",
    "RecordBatch",
    "object_store",
    "deltalake",
    "/src/",
    ".rs:",
    ".cargo",
    "backtrace",
    "stack overflow",
    "bug in",
    "Internal error",
];

/// What is asked, in whose words.
struct Asked {
    group: usize,
    text: String,
    kind: &'static str,
    body: Vec<u8>,
    role: Role,
}

struct Group {
    what: String,
    expect: BTreeSet<String>,
}

/// Where statements point to.
struct Bait {
    canary: PathBuf,
    out: PathBuf,
    lake: PathBuf,
    port: u16,
}

impl Bait {
    fn filled(&self, text: &str) -> String {
        let text = text
            .replace("{canary}", self.canary.to_str().unwrap())
            .replace("{out}", self.out.to_str().unwrap())
            .replace("{lake}", self.lake.to_str().unwrap())
            .replace("{port}", &self.port.to_string());
        repeated(&text)
    }

    fn filled_value(&self, value: &toml::Value) -> Value {
        match value {
            toml::Value::String(text) => self.filled(text).into(),
            toml::Value::Array(items) => items.iter().map(|item| self.filled_value(item)).collect(),
            toml::Value::Table(table) => {
                let fields = table.iter().map(|(key, item)| (key.clone(), self.filled_value(item)));
                Value::Object(fields.collect())
            }
            other => serde_json::to_value(other).unwrap(),
        }
    }
}

/// `<<3*a¦,>>` is `a,a,a`.
fn repeated(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("<<") {
        let (before, macro_) = rest.split_at(at);
        out.push_str(before);
        let inner = &macro_[2..];
        let times = inner.split_once('*').and_then(|(times, _)| times.parse::<usize>().ok());
        let (Some(times), Some(end)) = (times, inner.find(">>")) else {
            out.push_str("<<");
            rest = inner;
            continue;
        };
        let unit = inner[..end].split_once('*').unwrap().1;
        let (unit, between) = unit.split_once('¦').unwrap_or((unit, ""));
        out.push_str(&vec![unit; times].join(between));
        rest = &inner[end + 2..];
    }
    out.push_str(rest);
    out
}

fn read(bait: &Bait) -> (Vec<Group>, Vec<Asked>) {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/fixture/hostile.toml");
    let file: toml::Table = std::fs::read_to_string(file).unwrap().parse().unwrap();
    let (mut groups, mut all) = (Vec::new(), Vec::new());
    for group in file["group"].as_array().unwrap() {
        let text = |key: &str| group[key].as_str().unwrap().to_owned();
        let list = |key: &str| group.get(key).and_then(toml::Value::as_array).cloned();
        let list = |key: &str| list(key).unwrap_or_default();
        assert!(!text("why").is_empty());
        let codes = list("expect").into_iter().map(|code| code.as_str().unwrap().to_owned());
        groups.push(Group { what: text("what"), expect: codes.collect() });
        let mut bodies: Vec<(String, &'static str, Vec<u8>)> = Vec::new();
        for sql in list("sql") {
            let sql = bait.filled(sql.as_str().unwrap());
            let body = json!({ "sql": sql }).to_string();
            bodies.push((sql, "application/json", body.into_bytes()));
        }
        for asked in list("asked") {
            let body = bait.filled_value(&asked).to_string();
            bodies.push((body.clone(), "application/json", body.into_bytes()));
        }
        for body in list("json") {
            let body = bait.filled(body.as_str().unwrap());
            bodies.push((body.clone(), "application/json", body.into_bytes()));
        }
        for bytes in list("bytes") {
            let digits: Vec<char> =
                bytes.as_str().unwrap().chars().filter(|c| !c.is_whitespace()).collect();
            let byte =
                |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap();
            let body: Vec<u8> = digits.chunks(2).map(byte).collect();
            bodies.push((bytes.to_string(), "text/plain", body));
        }
        for (text, kind, body) in bodies {
            for role in [Role::Analyst, Role::Admin] {
                let (text, body) = (text.clone(), body.clone());
                all.push(Asked { group: groups.len() - 1, text, kind, body, role });
            }
        }
    }
    (groups, all)
}

/// How a statement ended: `answer`, or the code of its problem, with all that was told.
struct Told {
    outcome: String,
    text: String,
    faults: Vec<String>,
}

async fn ask(http: &reqwest::Client, url: &str, token: &str, asked: &Asked) -> Told {
    let request = http
        .post(url)
        .bearer_auth(token)
        .header(ACCEPT, "application/x-ndjson")
        .header(CONTENT_TYPE, asked.kind)
        .timeout(PATIENCE)
        .body(asked.body.clone());
    let broken = |error: reqwest::Error| Told {
        outcome: format!("no answer: {error:?}"),
        text: String::new(),
        faults: Vec::new(),
    };
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) => return broken(error),
    };
    let status = answer.status().as_u16();
    let head = format!("{status} {:?}", answer.headers());
    let kind = answer.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
    let waits = answer.headers().contains_key(RETRY_AFTER);
    let body = match answer.bytes().await {
        Ok(body) => String::from_utf8_lossy(&body).into_owned(),
        Err(error) => return broken(error),
    };
    let mut faults = Vec::new();
    let last: Option<Value> =
        body.trim_end().rsplit('\n').next().and_then(|line| serde_json::from_str(line).ok());
    let problem = match (status, last) {
        (200, Some(last)) if last.get("end").is_some() => None,
        (200, Some(mut last)) if last.get("error").is_some() => Some(last["error"].take()),
        (200, _) => {
            faults.push("a result without its end".to_owned());
            None
        }
        (_, Some(problem)) => {
            if kind != "application/problem+json" {
                faults.push(format!("a problem that is {kind}"));
            }
            if problem["status"] != status || waits != matches!(status, 429 | 503) {
                faults.push("a problem that is not what its head says".to_owned());
            }
            Some(problem)
        }
        (_, None) => {
            faults.push("neither a result nor a problem".to_owned());
            None
        }
    };
    let outcome = match &problem {
        None => "answer".to_owned(),
        Some(problem) => problem["code"].as_str().unwrap_or("no code").to_owned(),
    };
    let known = Code::ALL.iter().find(|code| code.name() == outcome);
    if let Some(problem) = &problem
        && known.is_none_or(|code| problem["status"] != code.status())
    {
        faults.push(format!("a code that has not its status: {problem}"));
    }
    // What the engine is allowed to say of itself is in a plan that was asked for.
    let plan = status == 200 && asked.text.trim_start().starts_with("EXPLAIN");
    let told = format!("{head}\n{}", problem.as_ref().map_or(&body, |_| &body));
    for word in UNTOLD {
        if !plan && told.contains(word) && !asked.text.contains(word) {
            faults.push(format!("tells of {word:?}"));
        }
    }
    Told { outcome, text: told, faults }
}

/// Waits until no statement runs: one that was given up ends at its next pause.
async fn idle(http: &reqwest::Client, url: &str, token: &str) {
    let since = Instant::now();
    loop {
        let limits = http.get(format!("{url}/v1/limits")).bearer_auth(token).send().await.unwrap();
        let limits: Value = limits.json().await.unwrap();
        if limits["running_now"] == 0 {
            return;
        }
        assert!(since.elapsed() < Duration::from_secs(60), "statements run on: {limits}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Every file below a folder with its size.
fn listing(folder: &Path) -> BTreeMap<PathBuf, u64> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => files.extend(listing(&entry.path())),
            // A server at work renames what it has written.
            false => drop(entry.metadata().map(|it| files.insert(entry.path(), it.len()))),
        }
    }
    files
}

/// A file whose next reading shows in its time of access.
fn unread(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    let ago = SystemTime::now() - Duration::from_secs(72 * 3600);
    let file = File::options().write(true).open(path).unwrap();
    file.set_times(FileTimes::new().set_accessed(ago)).unwrap();
}

fn accessed(path: &Path) -> SystemTime {
    std::fs::metadata(path).unwrap().accessed().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_statements_cost_their_sender_an_error_and_nobody_else_anything() {
    let lake = TestLake::new().await;
    let root = lake.root().parent().unwrap().to_owned();
    let sample = tempfile::tempdir().unwrap();
    Sample { seed: 1, scale: 0.2 }.write(sample.path()).unwrap();
    lake.load_folder(sample.path()).await;
    lake.promote().await;

    let folder = root.join("canary");
    std::fs::create_dir(&folder).unwrap();
    let canary = folder.join("secret.csv");
    unread(&canary, &format!("a,b\n{CANARY},{CANARY}\n"));
    // Some file systems do not keep times of access.
    let probe = root.join("probe");
    unread(&probe, "x");
    let before = accessed(&probe);
    File::open(&probe).unwrap().read_to_string(&mut String::new()).unwrap();
    let keeps_times = accessed(&probe) != before;
    let canary_time = accessed(&canary);

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let service = Service::over(&lake, CONFIG);
    let bait = Bait { canary: canary.clone(), out: folder.join("out"), lake: lake.root(), port };
    let (groups, all) = read(&bait);
    let url = format!("{}/v1/sql", service.url);
    let tokens: BTreeMap<Role, String> =
        [Role::Analyst, Role::Admin].map(|role| (role, service.token(role))).into();
    let http = reqwest::Client::new();
    let one = Asked {
        group: 0,
        text: String::new(),
        kind: "text/plain",
        body: b"SELECT 1 AS one".to_vec(),
        role: Role::Admin,
    };
    let first = ask(&http, &url, &tokens[&Role::Admin], &one).await;
    assert_eq!(first.outcome, "answer", "{}", first.text);
    let files = listing(&root);

    assert!(all.len() >= 2 * 150, "{}", all.len());
    let started = Instant::now();
    let (http, url, tokens) = (&http, &url, &tokens);
    // First what is refused soon, then what may take its time, at last the ordinary day.
    let last = groups.len() - 1;
    let phase = |asked: &Asked| match &groups[asked.group] {
        _ if asked.group == last => 2,
        group if group.expect.contains("statement_timeout") => 1,
        _ => 0,
    };
    // One of them is enough where it takes long.
    let all: Vec<_> = all.iter().filter(|it| phase(it) != 1 || it.role == Role::Analyst).collect();
    let count = all.len();
    let mut told = Vec::with_capacity(count);
    for now in 0..=2 {
        let asked = all.iter().copied().filter(|asked| phase(asked) == now);
        let answers = futures::stream::iter(asked.map(|asked| async move {
            let begun = Instant::now();
            let told = ask(http, url, &tokens[&asked.role], asked).await;
            (asked, told, begun.elapsed())
        }));
        // These must not reach their limits: each has the machine for itself.
        let at_once = if now == 2 { 1 } else { AT_ONCE };
        told.extend(answers.buffer_unordered(at_once).collect::<Vec<_>>().await);
        idle(http, &service.url, &tokens[&Role::Admin]).await;
    }
    let took = started.elapsed();

    let mut faults = Vec::new();
    let mut slowest = Duration::ZERO;
    for (asked, told, time) in &told {
        let group = &groups[asked.group];
        slowest = slowest.max(*time);
        let short: String = asked.text.chars().take(160).collect();
        let mut fault = |what: String| {
            let text: String = told.text.chars().take(600).collect();
            faults
                .push(format!("{} [{:?}] {short}\n    {what}\n    {text}", group.what, asked.role));
        };
        if !group.expect.contains(&told.outcome) {
            fault(format!("{} instead of {:?}", told.outcome, group.expect));
        }
        for more in &told.faults {
            fault(more.clone());
        }
        if told.text.contains(CANARY) {
            fault("the canary is in the answer".to_owned());
        }
        let root = root.to_str().unwrap();
        if told.text.contains(root) && !asked.text.contains(root) {
            fault("tells of a path of this machine".to_owned());
        }
    }
    if let Ok(path) = std::env::var("STEDI_TEST_HOSTILE_TO") {
        let lines = told.iter().map(|(asked, told, time)| {
            let short: String = asked.text.chars().take(120).collect();
            let text = told.text.split_once('\n').map_or("", |(_, body)| body);
            let text: String = text.chars().take(300).collect();
            let (role, ms) = (asked.role, time.as_millis());
            format!(
                "{} | {role:?} | {short:?} | {} | {ms} ms | {text:?}\n",
                groups[asked.group].what, told.outcome
            )
        });
        std::fs::write(path, lines.collect::<String>()).unwrap();
    }
    let peak = service.peak_memory();
    println!("{count} statements in {took:.1?}, the slowest {slowest:.1?}, peak memory {peak}");
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));

    // The server is as it was.
    let last = ask(http, url, &tokens[&Role::Admin], &one).await;
    assert_eq!(last.outcome, "answer", "{}", last.text);
    assert!(peak < CAP, "peak memory {peak}");
    let called = listener.accept();
    assert!(called.is_err(), "somebody called: {called:?}");
    assert!(!keeps_times || accessed(&canary) == canary_time, "the canary was read");
    // The audit of what was asked, and results that are kept.
    let system = [lake.root().join("system"), lake.config.state_dir.join("audit")];
    let own = |(path, _): &(&PathBuf, &u64)| system.iter().any(|own| path.starts_with(own));
    let after = listing(&root);
    let changed: Vec<_> = after
        .iter()
        .filter(|entry| !own(entry) && files.get(entry.0) != Some(entry.1))
        .chain(files.iter().filter(|entry| !own(entry) && !after.contains_key(entry.0)))
        .collect();
    assert!(changed.is_empty(), "{changed:?}");
    let log = service.log();
    assert!(!log.contains("panicked") && !log.contains(CANARY), "{log}");
    let started_in: BTreeSet<_> = listing(service.folder()).into_keys().collect();
    let known = ["log", "stedi.toml"].map(|name| service.folder().join(name));
    assert_eq!(started_in, known.into());
    assert_eq!(service.terminate(), Some(0));
}

#[test]
fn texts_are_repeated_as_written() {
    assert_eq!(repeated("a <<3*b¦, >> c <<2*(>>"), "a b, b, b c ((");
    assert_eq!(repeated("1 << 64, <<2*~ >>"), "1 << 64, ~ ~ ");
}
