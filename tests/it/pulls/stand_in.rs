//! A stand-in for the service's `/v1/snapshots`: manifests and files from memory, with `Range`, and the
//! harm that a test wants. It shares no code with the server or the client but the wire types.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Response};
use axum::routing::get;
use serde_json::{Value, json};
use stedi_openapi::{Code, Problem};
use tokio::task::JoinHandle;

/// What becomes of a request for a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    None,
    /// The connection ends after so many bytes of the body.
    Cut(usize),
    /// Nothing more comes after so many bytes.
    Stall(usize),
    /// 503 as the service says it, with `Retry-After` in seconds.
    Busy(u64),
    /// A status of a proxy that says nothing else.
    Bare(u16),
    /// This byte of the body is another one.
    Flip(usize),
    /// `Content-Range` and body are those of other bytes.
    OtherRange,
    /// The answer is the whole file, whatever was asked for.
    NoRange,
    /// The body has more bytes than were asked for.
    Longer,
    /// 410: the snapshot was redacted meanwhile.
    Gone,
}

/// A request for a file, as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub start: usize,
    /// Behind the last byte.
    pub end: usize,
    pub if_range: Option<String>,
    pub harm: Harm,
}

type Rule = dyn Fn(&Asked) -> Harm + Send + Sync;

struct Shared {
    files: BTreeMap<String, Bytes>,
    /// Manifests and problems by id, and ids by name.
    snapshots: BTreeMap<String, Value>,
    names: BTreeMap<String, String>,
    /// Which snapshot [`Harm::Gone`] names.
    successor: String,
    /// What the ETags end in.
    epoch: u32,
    rule: Arc<Rule>,
    asked: Vec<Asked>,
    tokens: Vec<String>,
}

#[derive(Clone)]
pub struct StandIn {
    pub url: String,
    shared: Arc<Mutex<Shared>>,
    task: Arc<JoinHandle<()>>,
}

impl StandIn {
    pub async fn start() -> Self {
        let shared = Arc::new(Mutex::new(Shared {
            files: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            names: BTreeMap::new(),
            successor: String::new(),
            epoch: 0,
            rule: Arc::new(|_| Harm::None),
            asked: Vec::new(),
            tokens: Vec::new(),
        }));
        let router = Router::new()
            .route("/v1/snapshots/{id}", get(manifest))
            .route("/v1/snapshots/{id}/files/{sha256}", get(file))
            .route("/v1/tables", get(tables))
            .with_state(shared.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared, task: Arc::new(task) }
    }

    /// Serves a snapshot of one table with these files, under a name; its id.
    pub fn add(&self, name: &str, files: &[(&str, Vec<u8>)]) -> String {
        let mut entries = Vec::new();
        for (path, bytes) in files {
            let sha256 = sha256(bytes);
            entries.push(json!({
                "path": path, "rows": 1, "bytes": bytes.len(), "sha256": sha256
            }));
            let bytes = Bytes::from(bytes.clone());
            self.shared.lock().unwrap().files.insert(sha256, bytes);
        }
        let mut manifest = json!({
            "format": "stedi-snapshot/1", "created": 1655564444103_i64, "created_by": "test",
            "redacts": null, "pipeline": "p", "options": {"readings": "all"},
            "splits": {"train": 80}, "newer": {"a field": 1.0e3},
            "tables": [{
                "table": "machine_learning_curated", "version": 7, "rows": files.len(),
                "schema": [], "sql": null, "sources": {}, "splits": {}, "files": entries
            }]
        });
        let id = sha256(&serde_json_canonicalizer::to_vec(&manifest).unwrap());
        let fields = manifest.as_object_mut().unwrap();
        fields.insert("id".to_owned(), json!(id));
        fields.insert("name".to_owned(), json!(name));
        fields.insert("superseded_by".to_owned(), Value::Null);
        self.put(name, &id, manifest);
        id
    }

    /// Serves a document as the manifest of an id, which a name points to.
    pub fn put(&self, name: &str, id: &str, manifest: Value) {
        let mut shared = self.shared.lock().unwrap();
        shared.snapshots.insert(id.to_owned(), manifest);
        shared.names.insert(name.to_owned(), id.to_owned());
    }

    pub fn manifest(&self, id: &str) -> Value {
        self.shared.lock().unwrap().snapshots[id].clone()
    }

    /// From now on a snapshot is gone, and its name points to its successor.
    pub fn redact(&self, id: &str, successor: &str) {
        let problem = serde_json::to_value(redacted(successor)).unwrap();
        let mut shared = self.shared.lock().unwrap();
        shared.snapshots.insert(id.to_owned(), problem);
        for at in shared.names.values_mut().filter(|at| *at == id) {
            *at = successor.to_owned();
        }
    }

    /// Does harm by a rule.
    pub fn harm(&self, rule: impl Fn(&Asked) -> Harm + Send + Sync + 'static) {
        self.shared.lock().unwrap().rule = Arc::new(rule);
    }

    /// The snapshot that [`Harm::Gone`] names.
    pub fn successor(&self, id: &str) {
        self.shared.lock().unwrap().successor = id.to_owned();
    }

    /// Files have other ETags from now on.
    pub fn next_epoch(&self) {
        self.shared.lock().unwrap().epoch += 1;
    }

    /// The requests for files since this was last asked.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.shared.lock().unwrap().asked)
    }

    /// The tokens that came since this was last asked; empty for none.
    pub fn tokens(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.lock().unwrap().tokens)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        if Arc::strong_count(&self.task) == 1 {
            self.task.abort();
        }
    }
}

/// Its digest, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

type Held = State<Arc<Mutex<Shared>>>;

fn note(shared: &Held, headers: &HeaderMap) {
    let token = headers.get("authorization").map(|it| it.to_str().unwrap());
    let token = token.and_then(|it| it.strip_prefix("Bearer ")).unwrap_or_default();
    shared.lock().unwrap().tokens.push(token.to_owned());
}

async fn tables(shared: Held, headers: HeaderMap) -> Response<Body> {
    note(&shared, &headers);
    answer(200).body(Body::from(r#"{"tables":[]}"#)).unwrap()
}

async fn manifest(shared: Held, Path(id): Path<String>, headers: HeaderMap) -> Response<Body> {
    note(&shared, &headers);
    let shared = shared.lock().unwrap();
    let id = shared.names.get(&id).unwrap_or(&id);
    match shared.snapshots.get(id) {
        Some(document) => {
            let status = document.get("status").and_then(Value::as_u64).unwrap_or(200);
            answer(status as u16).body(Body::from(document.to_string())).unwrap()
        }
        None => problem(Code::SnapshotNotFound, None),
    }
}

async fn file(
    shared: Held,
    Path((_, sha256)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response<Body> {
    note(&shared, &headers);
    let mut shared = shared.lock().unwrap();
    let Some(bytes) = shared.files.get(&sha256).cloned() else {
        return problem(Code::SnapshotNotFound, None);
    };
    let etag = format!("\"{sha256}-{}\"", shared.epoch);
    let text = |name: &str| headers.get(name).map(|it| it.to_str().unwrap().to_owned());
    let range = text("range").map(|range| {
        let (first, last) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        (first.parse::<usize>().unwrap(), last.parse::<usize>().unwrap() + 1)
    });
    let if_range = text("if-range");
    let (start, end) = range.unwrap_or((0, bytes.len()));
    let mut asked = Asked { start, end, if_range: if_range.clone(), harm: Harm::None };
    asked.harm = (shared.rule.clone())(&asked);
    let harm = asked.harm;
    shared.asked.push(asked);
    match harm {
        Harm::Busy(seconds) => return problem(Code::Redacting, Some(seconds)),
        Harm::Bare(status) => return answer(status).body(Body::from("<html>no</html>")).unwrap(),
        Harm::Gone => {
            let problem = serde_json::to_string(&redacted(&shared.successor)).unwrap();
            return answer(410).body(Body::from(problem)).unwrap();
        }
        _ => {}
    }
    let fits = if_range.is_none_or(|it| it == etag) && range.is_some() && harm != Harm::NoRange;
    let (start, end) = match harm {
        Harm::OtherRange => (start + 1, end + 1),
        _ if fits => (start, end.min(bytes.len())),
        _ => (0, bytes.len()),
    };
    let mut part = bytes[start.min(bytes.len())..end.min(bytes.len())].to_vec();
    let status = if fits { 206 } else { 200 };
    let mut head = answer(status).header("etag", etag);
    if fits {
        let range = format!("bytes {start}-{}/{}", end - 1, bytes.len());
        head = head.header("content-range", range);
    }
    if let Harm::Flip(at) = harm {
        let at = at % part.len();
        part[at] ^= 0x10;
    }
    if harm == Harm::Longer {
        part.extend_from_slice(b"more");
        return head
            .body(Body::from_stream(futures::stream::iter([Ok::<_, Never>(part)])))
            .unwrap();
    }
    let whole = part.len();
    let (part, after) = match harm {
        Harm::Cut(at) | Harm::Stall(at) => (part[..at.min(whole)].to_vec(), Some(harm)),
        _ => (part, None),
    };
    // Piece by piece, as a network gives it.
    let pieces: Vec<Bytes> = part.chunks(16 * 1024).map(Bytes::copy_from_slice).collect();
    let pieces = futures::stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>));
    let end = futures::stream::once(async move {
        match after {
            Some(Harm::Stall(_)) => std::future::pending().await,
            Some(_) => {
                // What was given is sent before the connection is closed.
                tokio::time::sleep(Duration::from_millis(20)).await;
                Err(std::io::Error::other("cut"))
            }
            None => Ok(Bytes::new()),
        }
    });
    let body = Body::from_stream(futures::StreamExt::chain(pieces, end));
    head.header("content-length", whole).body(body).unwrap()
}

type Never = std::convert::Infallible;

fn answer(status: u16) -> axum::http::response::Builder {
    Response::builder().status(status).header("content-type", "application/json")
}

fn redacted(successor: &str) -> Problem {
    let mut problem = Problem::of(Code::Redacted, "rows of it are not given any more");
    problem.superseded_by = Some(successor.to_owned());
    problem
}

fn problem(code: Code, retry_after: Option<u64>) -> Response<Body> {
    let problem = serde_json::to_string(&Problem::of(code, "the stand-in says so")).unwrap();
    let head = answer(code.status());
    let head = match retry_after {
        Some(seconds) => head.header("retry-after", seconds),
        None => head,
    };
    head.body(Body::from(problem)).unwrap()
}
