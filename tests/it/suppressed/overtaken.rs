//! An erasure comes while a load is under way: the load began before, and commits after it.

use std::io::Read;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::json;
use stedi_server::app::App;
use stedi_server::auth::Role;
use stedi_server::lake::{Change, LakeError, Mode, Table, Written, commit};
use stedi_server::landing::Content;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{CUSTOMERS, MOVEMENTS, STEPS, ada_is_gone, counts, customer, movement, step};
use crate::support::{Service, TestLake, adds_up, author};

/// A content whose last part comes when the test says so, and which tells that it is being read.
struct Held {
    parts: Vec<Vec<u8>>,
    began: Option<mpsc::Sender<()>>,
    go_on: mpsc::Receiver<()>,
}

impl Read for Held {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if let Some(began) = self.began.take() {
            began.send(()).unwrap();
            self.go_on.recv().unwrap();
        }
        let Some(part) = self.parts.first_mut() else { return Ok(0) };
        let count = part.len().min(buffer.len());
        buffer[..count].copy_from_slice(&part[..count]);
        part.drain(..count);
        self.parts.retain(|part| !part.is_empty());
        Ok(count)
    }
}

/// Loads a text by one server; what is given happens when the load has begun and nothing of it is
/// decoded.
async fn load_around(
    app: &App,
    table: &str,
    text: String,
    meanwhile: impl AsyncFnOnce(),
) -> stedi_openapi::LoadResult {
    let (began, has_begun) = mpsc::channel();
    let (go, go_on) = mpsc::channel();
    let reader = Held { parts: vec![text.into_bytes()], began: Some(began), go_on };
    let content = Content { name: "slow.json".to_owned(), reader, most: None };
    let by = author();
    let load = app.landing.load(table, content, &by, None);
    let other = async {
        tokio::task::spawn_blocking(move || has_begun.recv().unwrap()).await.unwrap();
        meanwhile().await;
        go.send(()).unwrap();
    };
    let (result, ()) = tokio::join!(load, other);
    adds_up(result.unwrap())
}

/// Two servers on one lake: one loads, the other erases meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_suppressed_is_committed_and_nothing_else_is_lost() {
    let lake = TestLake::new().await;
    let loading = App::open(&lake.config).await.unwrap();
    lake.load(CUSTOMERS, customer("ada@x.c", "d1", true) + &customer("bob@x.c", "d1", true)).await;
    lake.promote().await;

    let broken = r#"{"email":"ada@x.c","name":"no date"}"#;
    let text = customer("ada@x.c", "d2", true) + broken + "\n" + &customer("eve@x.c", "d3", true);
    let text = text + "{\"email\":\"bob@x.c\"}\n{\"email\":\"ada@x.c\",\n";
    let result = load_around(&loading, CUSTOMERS, text.clone(), async || {
        lake.erase(("e1", "ada@x.c", 50), &["d1"]).await;
    })
    .await;
    assert_eq!((result.accepted, result.rejected), (1, 1), "{result:?}");
    assert!(result.suppressed >= 2, "{result:?}");
    assert_eq!(result.rejects.len(), 1);
    assert_eq!(result.rejects[0].line, 4, "{result:?}");
    // What it wrote first is not there any more.
    let folder = lake.root().join("landing");
    for table in [CUSTOMERS, "customer_landing_rejected"] {
        let named = lake.app.lake.current("landing", table).await.unwrap().unwrap();
        let live = named.stats().unwrap().files as usize;
        let files = |folder: PathBuf| {
            let files = std::fs::read_dir(folder).into_iter().flatten();
            let files = files.map(|file| file.unwrap().path());
            files.filter(|file| file.extension().is_some_and(|it| it == "parquet")).count()
        };
        let before = if table == CUSTOMERS { 1 } else { 0 };
        let there = files(folder.join(table)) + files(folder.join(table).join("rewritten"));
        assert_eq!(there, live + before, "{table}");
    }
    // The content counts as loaded.
    assert_eq!(counts(&lake.load(CUSTOMERS, text).await), [0, 0, result.received, 0]);

    // Readings: of a customer, and of a device by their moment; twice overtaken.
    let text = movement("ada@x.c", "d9", 99) + &movement("bob@x.c", "d1", 20);
    let text = text + &movement("", "d3", 20) + &movement("", "d3", 80) + &movement("", "d1", 50);
    let result = load_around(&loading, MOVEMENTS, text, async || {
        lake.erase(("e2", "eve@x.c", 60), &["d3"]).await;
        lake.erase(("e3", "moe@x.c", 90), &["d4"]).await;
    })
    .await;
    assert_eq!(counts(&result), [2, 0, 0, 3]);
    // All of a content.
    let result = load_around(&loading, STEPS, step("d5", 1) + &step("d5", 2), async || {
        lake.erase(("e4", "joe@x.c", 60), &["d5"]).await;
    })
    .await;
    assert_eq!(counts(&result), [0, 0, 0, 2]);
    assert_eq!(lake.count(STEPS).await, 0);
    lake.promote().await;
    lake.is_derived().await;
    ada_is_gone(&lake).await;
}

/// What everything rests on: an append that began before a fence is not rebased over it, and one that
/// began after it is committed.
#[tokio::test(flavor = "multi_thread")]
async fn an_append_runs_into_a_fence() {
    let lake = TestLake::new().await;
    let current = async || lake.app.lake.current("landing", STEPS).await.unwrap().unwrap();
    let append = async |table: &Table, number| {
        let change = Change {
            mode: Mode::Append,
            written: Written::default(),
            columns: None,
            txns: vec![(format!("test {number}"), number)],
            author: author(),
            info: json!({ "operation": "test" }),
        };
        commit(&lake.app.lake, "landing", table, change).await
    };
    let before = current().await;
    // Other appends are no hindrance.
    append(&current().await, 1).await.unwrap();
    append(&before, 2).await.unwrap();
    let fence = async |number| {
        let by = (&author(), &json!({ "operation": "fence" }));
        lake.app.lake.fence("landing", STEPS, number, by).await.unwrap().unwrap()
    };
    assert_eq!((current().await.fence().unwrap(), fence(7).await.fence().unwrap()), (0, 7));
    let fenced = current().await;
    let error = append(&before, 3).await.unwrap_err();
    assert!(matches!(error, LakeError::Conflict { .. }), "{error}");
    assert_eq!(current().await.txn("test 3").await.unwrap(), None);
    append(&fenced, 4).await.unwrap();
    // A fence is never lowered, and raised once.
    let version = current().await.version();
    assert_eq!((fence(7).await.version(), fence(5).await.fence().unwrap()), (version, 7));
    assert_eq!(fence(8).await.version(), version + 1);
    assert!(append(&fenced, 5).await.is_err());
    // A server whose list does not reach up to the fence loads nothing.
    let reader = std::io::Cursor::new(step("d1", 1).into_bytes());
    let content = Content { name: "t".to_owned(), reader, most: None };
    let error = lake.app.landing.load(STEPS, content, &author(), None).await.unwrap_err();
    assert!(error.to_string().contains("was fenced with 8"), "{error}");
}

/// A load that is not overtaken is committed beside an erasure, and many erasures beside many loads
/// leave what a ledger says.
#[tokio::test(flavor = "multi_thread")]
async fn loads_and_erasures_at_once() {
    let lake = TestLake::new().await;
    let loading = App::open(&lake.config).await.unwrap();
    let email = |number: usize| format!("c{number}@x.c");
    let loads = async {
        for round in 0..12 {
            let text: String = (0..8).map(|who| movement(&email(who), "", 100 + round)).collect();
            let reader = std::io::Cursor::new(text.into_bytes());
            let content = Content { name: "loads.json".to_owned(), reader, most: None };
            let result = loading.landing.load(MOVEMENTS, content, &author(), None).await.unwrap();
            assert_eq!(result.accepted + result.suppressed, 8);
        }
    };
    let erasures = async {
        for who in 0..6 {
            lake.erase((&format!("e{who}"), &email(who), 50), &[]).await;
        }
    };
    tokio::join!(loads, erasures);
    let left = "SELECT \"user\", count(*) FROM accelerometer_landing GROUP BY 1";
    assert_eq!(lake.sorted(left).await, [["c6@x.c", "12"], ["c7@x.c", "12"]]);
}

/// The same by HTTP, with a body that comes slowly.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_upload_is_overtaken() {
    let lake = TestLake::new().await;
    let service = Service::over(&lake, "");
    let token = service.token(Role::Ingest);
    let (first, second) = (customer("ada@x.c", "d1", true), customer("bob@x.c", "d1", true));
    let length = first.len() + second.len();
    let mut stream = TcpStream::connect(service.address()).await.unwrap();
    let head = format!(
        "POST /v1/landing/{CUSTOMERS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/x-ndjson\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{first}"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // It has opened its tables long before; that it was overtaken is in its log.
    tokio::time::sleep(Duration::from_secs(5)).await;
    lake.erase(("e1", "ada@x.c", 50), &["d1"]).await;
    stream.write_all(second.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let body = answer.split("\r\n\r\n").nth(1).unwrap();
    assert!(body.contains(r#""accepted":1"#) && body.contains(r#""suppressed":1"#), "{answer}");
    let rows = lake.select("SELECT email FROM customer_landing").await;
    assert_eq!(rows, [["bob@x.c"]]);
    let asked = Instant::now();
    while !service.log().contains("an erasure overtook a load") {
        assert!(asked.elapsed() < Duration::from_secs(10), "{}", service.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!service.log().contains("ada@x.c"));
}
