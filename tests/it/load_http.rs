//! Loading over HTTP: `POST /v1/landing/{table}`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::{Body, Method, RequestBuilder};
use serde_json::Value;
use stedi_openapi::LoadResult;
use stedi_server::auth::Role;
use stedi_server::config::LandingConfig;
use stedi_server::landing::files_of;

use crate::support::{
    Running, TABLES, TestLake, TestServer, adds_up, client, fixture, free_port, server,
};

const STEPS: &str = "/v1/landing/step_trainer_landing";

async fn served() -> (TestLake, TestServer) {
    let lake = TestLake::new().await;
    let server = TestServer::start(&lake.config).await;
    (lake, server)
}

async fn served_with(landing: LandingConfig) -> (TestLake, TestServer) {
    let mut lake = TestLake::new().await;
    lake.config.landing = landing;
    let server = TestServer::start(&lake.config).await;
    (lake, server)
}

/// Records of the step trainer from one number up to before another.
fn steps(numbers: std::ops::Range<u32>) -> String {
    let record = |at| {
        format!(
            "{{\"sensorReadingTime\":{},\"serialNumber\":\"d\",\"distanceFromObject\":1}}\n",
            at + 1
        )
    };
    numbers.map(record).collect()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn post(server: &TestServer, path: &str) -> RequestBuilder {
    server.request(Method::POST, path, Some(&server.token(Role::Ingest)))
}

async fn loaded(request: RequestBuilder) -> LoadResult {
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    adds_up(answer.json().await.unwrap())
}

async fn refused(request: RequestBuilder) -> (u16, String) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    assert_eq!(answer.headers().contains_key("retry-after"), status == 503);
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(problem["status"], status);
    (status, problem["code"].as_str().unwrap().to_owned())
}

/// Versions of the landing table and of its rejects, and data files in both folders.
async fn state(lake: &TestLake) -> ([u64; 2], usize) {
    let tables = ["step_trainer_landing", "step_trainer_landing_rejected"];
    let mut versions = [0; 2];
    let mut files = 0;
    for (version, name) in versions.iter_mut().zip(tables) {
        let table = lake.app.lake.table("landing", name).await.unwrap().unwrap();
        *version = table.version();
        let folder = std::fs::read_dir(lake.root().join("landing").join(name)).unwrap();
        files += folder
            .filter(|file| {
                file.as_ref().unwrap().path().extension().is_some_and(|it| it == "parquet")
            })
            .count();
    }
    (versions, files)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fixture_gives_the_hand_checked_counts() {
    let (lake, server) = served().await;
    let mut received = 0;
    for source in &lake.app.pipeline.sources {
        for path in files_of(&fixture().join(&source.folder)).unwrap() {
            let bytes = std::fs::read(path).unwrap();
            let path = format!("/v1/landing/{}", source.name);
            let result = loaded(post(&server, &path).body(bytes)).await;
            assert_eq!(result.table, source.name);
            received += result.received;
        }
    }
    assert_eq!(received, 10 + 12 + 9);
    lake.promote().await;
    assert_eq!(lake.counts(TABLES).await, [10, 12, 9, 6, 7, 4, 5, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn encodings_types_and_who_sent_it() {
    let (lake, server) = served().await;
    let plain = |from: u32| steps(from..from + 10).into_bytes();
    let zstd = |from| zstd::encode_all(plain(from).as_slice(), 1).unwrap();
    let bodies = [
        (None, plain(0)),
        (Some("identity"), plain(10)),
        (Some("gzip"), gzip(&plain(20))),
        (Some("x-gzip"), gzip(&plain(30))),
        (Some("ZSTD"), zstd(40)),
        // Without the header it is recognised all the same, as when a .gz file is sent.
        (None, gzip(&plain(50))),
        (None, zstd(60)),
    ];
    for (at, (encoding, body)) in bodies.into_iter().enumerate() {
        let request = post(&server, STEPS).body(body);
        let request = match encoding {
            Some(encoding) => request.header("content-encoding", encoding),
            None => request,
        };
        let result = loaded(request).await;
        assert_eq!((result.accepted, result.version), (10, at as u64 + 1), "{encoding:?}");
    }
    for (at, kind) in
        ["application/json", "application/x-ndjson; charset=utf-8", "Application/JSONL"]
            .into_iter()
            .enumerate()
    {
        let from = 100 + 10 * at as u32;
        let request = post(&server, STEPS).header("content-type", kind).body(plain(from));
        assert_eq!(loaded(request).await.accepted, 10, "{kind}");
    }
    for (name, value, code) in [
        ("content-type", "text/csv", "unsupported_media_type"),
        ("content-type", "application/x-www-form-urlencoded", "unsupported_media_type"),
        ("content-encoding", "br", "encoding_unsupported"),
        ("content-encoding", "gzip, gzip", "encoding_unsupported"),
    ] {
        let request = post(&server, STEPS).header(name, value).body(plain(500));
        assert_eq!(refused(request).await, (415, code.to_owned()), "{value}");
    }
    assert_eq!(lake.count("step_trainer_landing").await, 100);

    // Chunks that end inside records, and a content that is called something.
    let text = steps(200..300) + "broken\n";
    let chunks: Vec<std::io::Result<Vec<u8>>> =
        text.as_bytes().chunks(37).map(|chunk| Ok(chunk.to_vec())).collect();
    let body = Body::wrap_stream(futures::stream::iter(chunks));
    let request = post(&server, &format!("{STEPS}?name=a%20file.json"))
        .header("x-request-id", "r-17")
        .body(body);
    let result = loaded(request).await;
    assert_eq!((result.accepted, result.rejected), (100, 1));
    assert_eq!(result.rejects[0].line, 101);
    let kept = lake.select("SELECT file, line, raw FROM step_trainer_landing_rejected").await;
    assert_eq!(kept, [["a file.json", "101", "broken"]]);

    // The same content again, in another form.
    let result = loaded(post(&server, STEPS).body(gzip(text.as_bytes()))).await;
    assert_eq!((result.duplicate, result.accepted, result.rejected), (101, 0, 0));

    let admin = server.token(Role::Admin);
    for table in ["step_trainer_landing", "step_trainer_landing_rejected"] {
        let path = format!("/v1/tables/{table}/history?limit=1");
        let newest = &server.json(&path, Some(&admin)).await.1["versions"][0];
        assert_eq!((&newest["who"], &newest["request_id"]), (&"test".into(), &"r-17".into()));
    }
}

/// Sends the beginning of a request over a socket of its own.
fn begin(server: &TestServer, head: &str, body: &[u8]) -> TcpStream {
    let address = server.url.strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(address).unwrap();
    let token = server.token(Role::Ingest);
    let head = format!(
        "POST {STEPS} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n{head}\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).unwrap();
    socket.write_all(body).unwrap();
    socket
}

/// Whether an answer is there.
fn answered(socket: &TcpStream) -> bool {
    socket.set_nonblocking(true).unwrap();
    let there = socket.peek(&mut [0]).is_ok();
    socket.set_nonblocking(false).unwrap();
    there
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let (lake, server) = served().await;
    // Enough for batches to be written before the break, with a reject among them.
    let text = format!("broken\n{}", steps(0..40_000));
    let half = &text.as_bytes()[..text.len() / 2];
    let length = format!("content-length: {}", text.len());
    drop(begin(&server, &length, half));
    // A chunk, and then neither another one nor the last, which is empty.
    let chunk = [format!("{:x}\r\n", half.len()).as_bytes(), half, b"\r\n"].concat();
    drop(begin(&server, "transfer-encoding: chunked", &chunk));
    // A client that says that it is done and waits for an answer.
    let mut waiting = begin(&server, &length, half);
    waiting.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).unwrap();
    assert!(!answer.contains(" 200 "), "{answer}");

    // All of it, and then the beginnings once more: what they left would now be `duplicate`.
    let whole = loaded(post(&server, STEPS).body(text.clone())).await;
    assert_eq!((whole.accepted, whole.rejected, whole.version), (40_000, 1, 1));
    let again = loaded(post(&server, STEPS).body(half.to_vec())).await;
    assert_eq!(again.duplicate, 0);
    assert_eq!(again.version, 2);
    assert_eq!(lake.count("step_trainer_landing").await as u64, 40_000 + again.accepted);
    assert_eq!(lake.count("step_trainer_landing_rejected").await, 3);
    let (versions, files) = state(&lake).await;
    assert_eq!((versions, files), ([2, 2], 4), "files of a load that did not happen");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_is_refused_whole() {
    let landing = LandingConfig { body_bytes: 1_000_000, ..LandingConfig::default() };
    let (lake, server) = served_with(landing).await;
    let large = format!("broken\n{}", steps(0..40_000));
    assert!(large.len() > 2_000_000);
    let too_large = (413, "body_too_large".to_owned());
    // By what it says, by what comes, and by what comes out of it.
    assert_eq!(refused(post(&server, STEPS).body(large.clone())).await, too_large);
    let chunks: Vec<std::io::Result<Vec<u8>>> =
        large.as_bytes().chunks(10_000).map(|chunk| Ok(chunk.to_vec())).collect();
    let stream = Body::wrap_stream(futures::stream::iter(chunks));
    assert_eq!(refused(post(&server, STEPS).body(stream)).await, too_large);
    let packed = gzip(large.as_bytes());
    assert!(packed.len() < 500_000);
    assert_eq!(refused(post(&server, STEPS).body(packed)).await, too_large);
    let bomb = zstd::encode_all(vec![b' '; 100_000_000].as_slice(), 1).unwrap();
    assert_eq!(refused(post(&server, STEPS).body(bomb)).await, too_large);
    // Members that are empty are no bytes at all, however many there are.
    let nothing = gzip(b"").repeat(60_000);
    assert!(nothing.len() > 1_000_000);
    assert_eq!(refused(post(&server, STEPS).body(nothing)).await, too_large);
    assert_eq!(state(&lake).await, ([0, 0], 0));

    let fits = steps(0..10_000);
    assert_eq!(loaded(post(&server, STEPS).body(fits)).await.accepted, 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_landing_tables_and_only_for_who_loads() {
    let (lake, server) = served().await;
    for role in [Role::Analyst, Role::Trainer] {
        let request = server.request(Method::POST, STEPS, Some(&server.token(role)));
        let answer = refused(request.body(steps(0..1))).await;
        assert_eq!(answer, (403, "forbidden".to_owned()), "{role:?}");
    }
    let unknown = ["nothing", "customer_trusted", "step_trainer_landing_rejected", "..%2Fsystem"];
    for table in unknown {
        let answer = refused(post(&server, &format!("/v1/landing/{table}")).body("{}")).await;
        assert_eq!(answer, (404, "table_not_found".to_owned()), "{table}");
    }
    for query in ["name=a&nothing=1", &format!("name={}", "x".repeat(201))] {
        let answer = refused(post(&server, &format!("{STEPS}?{query}")).body("{}")).await;
        assert_eq!(answer, (400, "malformed".to_owned()), "{query}");
    }
    let get = server.request(Method::GET, STEPS, Some(&server.token(Role::Ingest)));
    assert_eq!(refused(get).await, (405, "method_not_allowed".to_owned()));
    assert_eq!(state(&lake).await, ([0, 0], 0));
    let admin = server.request(Method::POST, STEPS, Some(&server.token(Role::Admin)));
    assert_eq!(loaded(admin.body(steps(0..1))).await.accepted, 1);
    let nothing = loaded(post(&server, STEPS).body("")).await;
    assert_eq!((nothing.received, nothing.version), (0, 1));
}

/// A refusal must reach its sender, also one that is still sending.
#[tokio::test(flavor = "multi_thread")]
async fn an_early_answer_arrives() {
    let (_lake, server) = served().await;
    for _ in 0..5 {
        let body = vec![b' '; 30_000_000];
        let token = server.token(Role::Analyst);
        let request = server.request(Method::POST, STEPS, Some(&token)).body(body);
        assert_eq!(refused(request).await.0, 403);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_at_once_and_no_more() {
    let landing = LandingConfig { loads_at_once: 2, ..LandingConfig::default() };
    let (_lake, server) = served_with(landing).await;
    let text = steps(0..100);
    let length = format!("content-length: {}\r\nconnection: close", text.len());
    let (first, rest) = text.split_at(500);
    let mut held: Vec<TcpStream> =
        (0..2).map(|_| begin(&server, &length, first.as_bytes())).collect();
    let started = Instant::now();
    let refusal = loop {
        // Both have to get as far as their bodies; one that this loop was faster than begins anew.
        for socket in held.iter_mut().filter(|socket| answered(socket)) {
            *socket = begin(&server, &length, first.as_bytes());
        }
        let answer = post(&server, STEPS).body(steps(1000..1001)).send().await.unwrap();
        if answer.status() != 200 || started.elapsed() > Duration::from_secs(20) {
            break answer;
        }
    };
    assert_eq!(refusal.status(), 503, "{}", refusal.text().await.unwrap());
    assert_eq!(refusal.headers()["retry-after"], "2");
    let answers: Vec<String> = held
        .iter_mut()
        .map(|socket| {
            socket.write_all(rest.as_bytes()).unwrap();
            let mut answer = String::new();
            socket.read_to_string(&mut answer).unwrap();
            answer
        })
        .collect();
    // The same content: one has loaded it, for the other it is a duplicate.
    let accepted = answers.iter().filter(|answer| answer.contains("\"accepted\":100")).count();
    let duplicate = answers.iter().filter(|answer| answer.contains("\"duplicate\":100")).count();
    assert_eq!((accepted, duplicate), (1, 1), "{answers:?}");
    assert_eq!(loaded(post(&server, STEPS).body(steps(2000..2001))).await.accepted, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_loads_files_and_standard_input() {
    let (lake, server) = served().await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let plain = file("1,a.json", (steps(0..10) + "broken\n").as_bytes());
    let packed = file("2.json.gz", &gzip(steps(10..30).as_bytes()));
    let token = server.token(Role::Ingest);
    let run = |arguments: &[&str], input: &Path| {
        let mut command = client();
        command.args(["--server", &server.url, "--token", &token, "--format", "csv", "load"]);
        let input = std::fs::File::open(input).unwrap();
        let output = command.args(arguments).stdin(input).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    };
    let nothing = Path::new("/dev/null");
    let (ok, out, errors) = run(&["step_trainer_landing", &plain, &packed], nothing);
    assert!(ok, "{errors}");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "file,table,received,accepted,rejected,duplicate,suppressed,version");
    assert_eq!(lines[1], "\"1,a.json\",step_trainer_landing,11,10,1,0,0,1");
    assert_eq!(lines[2], "2.json.gz,step_trainer_landing,20,20,0,0,0,2");
    assert_eq!(errors, "1,a.json:11: not a JSON object\n");
    let kept = lake.select("SELECT file FROM step_trainer_landing_rejected").await;
    assert_eq!(kept, [["1,a.json"]]);

    let input = file("input", steps(30..35).as_bytes());
    let (ok, out, errors) = run(&["step_trainer_landing", "-"], Path::new(&input));
    assert!(ok && out.contains("\n-,step_trainer_landing,5,5,0,0,0,3\n"), "{out}{errors}");
    for (arguments, reason) in [
        (["step_trainer_landing", "/no/such/file"], "/no/such/file"),
        (["customer_trusted", plain.as_str()], "table_not_found"),
    ] {
        let (ok, _, errors) = run(&arguments, nothing);
        assert!(!ok && errors.contains(reason), "{errors}");
    }
    assert_eq!(lake.count("step_trainer_landing").await, 35);
}

/// The most memory that a process ever had, in bytes.
fn peak(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(target_os = "linux"), ignore = "peak memory is read from /proc")]
async fn memory_does_not_grow_with_an_upload() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("127.0.0.1:{}", free_port());
    let mut command = server();
    command.current_dir(folder.path()).args(["serve", "--listen", &address]);
    let running = Running::start(&mut command);
    let url = format!("http://{address}");
    assert!(client().args(["--server", &url, "ready", "--wait", "60"]).status().unwrap().success());
    let mut command = server();
    let token = command.current_dir(folder.path()).args(["token", "--role", "ingest"]).output();
    let token = String::from_utf8(token.unwrap().stdout).unwrap();

    // Long records, of which little is kept: bytes go through quickly, and batches fill all the same.
    let pad = "x".repeat(2000);
    let send = async |name: u32, count: u32| {
        let pad = pad.clone();
        let chunks = (0..count / 100).map(move |at| {
            let record = |of: u32| {
                let time = u64::from(name) * 10_000_000 + u64::from(at * 100 + of) + 1;
                format!(
                    "{{\"sensorReadingTime\":{time},\"serialNumber\":\"d\",\"pad\":\"{pad}\",\
                     \"distanceFromObject\":1}}\n"
                )
            };
            std::io::Result::Ok((0..100).map(record).collect::<String>())
        });
        let request = reqwest::Client::new().post(format!("{url}{STEPS}"));
        let body = Body::wrap_stream(futures::stream::iter(chunks));
        let result = loaded(request.bearer_auth(token.trim()).body(body)).await;
        assert_eq!(result.accepted, u64::from(count));
    };
    // Two of 20 MB, so that what is kept once is there; then 200 MB.
    send(1, 10_000).await;
    send(2, 10_000).await;
    let before = peak(running.0.id());
    send(3, 100_000).await;
    let after = peak(running.0.id());
    let grown = (after - before) / 1_000_000;
    println!("peak {} MB, then {} MB", before / 1_000_000, after / 1_000_000);
    assert!(grown < 40, "200 MB of body took {grown} MB more");
    assert_eq!(running.terminate(), Some(0));
}
