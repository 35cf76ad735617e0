//! What docker/compose.yaml describes, as plain processes (`tests/topology`): two servers on one lake
//! behind nginx, with the same configuration files. What a client sees does not depend on which of them
//! answers.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use futures::StreamExt;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use stedi_server::auth::{LocalKey, Role};
use stedi_server::config::Config;
use tempfile::TempDir;

use crate::sql::{arrow, parquet};
use crate::support::{Answered, answered, customer, server};

const NGINX: &str = "nginx";
const SERVERS: [&str; 2] = ["server-1", "server-2"];
const PATIENCE: Duration = Duration::from_secs(60);

/// All of it, and it ends with the test.
struct Topology {
    urls: BTreeMap<String, String>,
    pids: BTreeMap<String, String>,
    http: Client,
    token: String,
    stdin: Option<ChildStdin>,
    child: Child,
    folder: TempDir,
}

impl Topology {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let binaries = Path::new(server().get_program()).parent().unwrap().to_owned();
        let mut child = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/topology"))
            .arg("--folder")
            .arg(folder.path())
            .arg("--bin")
            .arg(binaries)
            .env("STEDI_TEST_VENV", env!("STEDI_TEST_VENV"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().unwrap());
        let (mut urls, mut pids) = (BTreeMap::new(), BTreeMap::new());
        let mut complete = false;
        for line in BufReader::new(stdout).lines() {
            let line = line.unwrap();
            match line.split(' ').collect::<Vec<_>>()[..] {
                [name, url, pid] => {
                    urls.insert(name.to_owned(), url.to_owned());
                    pids.insert(name.to_owned(), pid.to_owned());
                }
                _ => complete = true,
            }
            if complete {
                break;
            }
        }
        assert!(complete, "tests/topology does not start; it says why above");
        let token = token(&folder.path().join("keys/auth.key"));
        Self { urls, pids, http: Client::new(), token, stdin, child, folder }
    }

    fn request(&self, server: &str, method: &str, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.urls[server]);
        self.http.request(method.parse().unwrap(), url).bearer_auth(&self.token)
    }

    fn post(&self, server: &str, path: &str) -> RequestBuilder {
        self.request(server, "POST", path)
    }

    async fn get(&self, server: &str, path: &str) -> Answered {
        answered(self.request(server, "GET", path)).await
    }

    async fn load(&self, server: &str, table: &str, text: String) -> Value {
        let answer = answered(self.post(server, &format!("/v1/landing/{table}")).body(text)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    async fn promote(&self, server: &str) {
        let request = self.post(server, "/v1/promotions").header("prefer", "wait=60");
        let answer = answered(request.json(&json!({}))).await;
        assert_eq!((answer.status, &answer.json()["state"]), (200, &json!("succeeded")));
    }

    fn sql(&self, server: &str, sql: &str) -> RequestBuilder {
        self.post(server, "/v1/sql").json(&json!({ "sql": sql }))
    }

    /// The only value of a statement's only row.
    async fn value(&self, server: &str, sql: &str) -> Value {
        let answer = answered(self.sql(server, sql)).await;
        assert_eq!(answer.status, 200, "{sql}: {}", answer.text());
        answer.json()["rows"][0][0].clone()
    }

    /// Once a resource is as it is wanted.
    async fn until(&self, server: &str, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let answer = self.get(server, path).await;
            if answer.status == 200 && wanted(&answer.json()) {
                return answer.json();
            }
            assert!(began.elapsed() < PATIENCE, "{path}: {} {}", answer.status, answer.text());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Which servers nginx asked so far.
    fn asked(&self) -> BTreeSet<String> {
        let log = std::fs::read_to_string(self.folder.path().join("nginx.log")).unwrap();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let asked = lines.filter_map(|line| Some(format!("http://{}", line["server"].as_str()?)));
        let names = self.urls.iter().map(|(name, url)| (url.clone(), name.clone()));
        let names: BTreeMap<String, String> = names.collect();
        asked.filter_map(|url| names.get(&url).cloned()).collect()
    }
}

impl Drop for Topology {
    fn drop(&mut self) {
        // It ends what it started when its input ends.
        drop(self.stdin.take());
        let began = Instant::now();
        while self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            if began.elapsed() > PATIENCE {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn token(key: &Path) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let rules = stedi_server::app::token_rules(&Config::default());
    let claims = rules.claims("test", Role::Admin, now, Duration::from_secs(3600));
    LocalKey::open(key).unwrap().sign(&claims).unwrap()
}

/// Customers who consent, each with a device, and readings of both kinds at some times.
async fn loaded(topology: &Topology, names: &[&str], times: std::ops::Range<i64>) {
    let (mut customers, mut readings, mut steps) = (String::new(), String::new(), String::new());
    for name in names {
        customers += &customer(name, 10, 1000);
        for time in times.clone() {
            readings += &format!(
                "{{\"user\":\"{name}@rev\",\"timestamp\":{time},\"x\":1,\"y\":1,\"z\":1}}\n"
            );
            steps += &format!(
                "{{\"sensorReadingTime\":{time},\"serialNumber\":\"serial-of-{name}\",\"distanceFromObject\":7}}\n"
            );
        }
    }
    topology.load(NGINX, "customer_landing", customers).await;
    let sent = readings.lines().count();
    // More than the megabyte that nginx takes by itself.
    assert!(readings.len() > 2 << 20, "{}", readings.len());
    let result = topology.load(NGINX, "accelerometer_landing", readings).await;
    assert_eq!((&result["received"], &result["accepted"]), (&json!(sent), &json!(sent)));
    topology.load(NGINX, "step_trainer_landing", steps).await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(
    not(all(seaweedfs, python_readers, nginx)),
    ignore = "SeaweedFS or nginx is not installed; tests/run installs them"
)]
async fn through_nginx_everything_is_as_it_is_without() {
    let topology = Topology::start();
    let (names, times) = (["ada", "bob"], 1..20_001);
    let rows = (times.end - times.start) * names.len() as i64;
    loaded(&topology, &names, times).await;

    // A promotion's progress comes while it runs, not when it has ended.
    let asked = answered(topology.post(NGINX, "/v1/promotions").json(&json!({}))).await;
    assert_eq!(asked.status, 202, "{}", asked.text());
    let path = asked.header("location").to_owned();
    let events = topology.request(NGINX, "GET", &format!("{path}/events")).send().await.unwrap();
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    let mut body = events.bytes_stream();
    let (mut text, mut pieces) = (String::new(), 0);
    while let Some(piece) = body.next().await {
        text += std::str::from_utf8(&piece.unwrap()).unwrap();
        pieces += 1;
    }
    let told: Vec<Value> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("data:")?.trim()).ok())
        .collect();
    assert!(pieces > 1 && told.len() > 1, "{text}");
    assert_ne!(told[0]["state"], "succeeded");
    assert_eq!(told.last().unwrap()["state"], "succeeded", "{text}");

    // One statement in every format. What one server has just committed the other one knows within
    // lake.staleness_ms.
    let sql = "SELECT sensorreadingtime, x FROM machine_learning_curated";
    for server in SERVERS {
        let began = Instant::now();
        let count = format!("SELECT count(*) FROM ({sql})");
        while topology.value(server, &count).await != json!(rows) {
            assert!(began.elapsed() < Duration::from_secs(5), "{server}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let of = async |accept: &str| {
        let answer = answered(topology.sql(NGINX, sql).header("accept", accept)).await;
        assert_eq!(answer.status, 200, "{accept}");
        assert_eq!(answer.header("content-type").split(';').next(), Some(accept));
        answer
    };
    let rows = usize::try_from(rows).unwrap();
    assert_eq!(of("application/json").await.json()["row_count"], json!(rows));
    let ndjson = of("application/x-ndjson").await;
    let lines = ndjson.text();
    assert_eq!(lines.lines().count(), rows + 1);
    assert!(lines.ends_with(&format!("{{\"end\":{{\"row_count\":{rows}}}}}\n")));
    assert_eq!(of("text/csv").await.text().lines().count(), rows + 1);
    let batches = arrow(&of("application/vnd.apache.arrow.stream").await.body);
    assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), rows);
    let batches = parquet(of("application/vnd.apache.parquet").await.body);
    assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), rows);

    // Files of a snapshot, whole and in parts.
    let made =
        answered(topology.post(NGINX, "/v1/snapshots").json(&json!({ "name": "one" }))).await;
    assert!([200, 201].contains(&made.status), "{}", made.text());
    let manifest = topology.until(NGINX, "/v1/snapshots/one", |_| true).await;
    let file = &manifest["tables"][0]["files"][0];
    let (sha256, bytes) = (file["sha256"].as_str().unwrap(), file["bytes"].as_u64().unwrap());
    let path = format!("/v1/snapshots/one/files/{sha256}");
    let whole = topology.get(NGINX, &path).await;
    assert_eq!((whole.status, whole.body.len() as u64), (200, bytes));
    let digest = digest(&SHA256, &whole.body);
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, sha256);
    let ranged =
        |range: &str| answered(topology.request(NGINX, "GET", &path).header("range", range));
    let part = ranged("bytes=4-99").await;
    assert_eq!(part.status, 206);
    assert_eq!(part.header("content-range"), format!("bytes 4-99/{bytes}"));
    assert_eq!(part.body, whole.body[4..100]);
    assert_eq!(ranged(&format!("bytes={bytes}-")).await.status, 416);
    let known = topology.request(NGINX, "GET", &path).header("if-none-match", whole.header("etag"));
    assert_eq!(answered(known).await.status, 304);

    // Problems are the servers' own, also where nginx has opinions.
    let refused = answered(topology.post(NGINX, "/v1/sql").body("x".repeat(2 << 20))).await;
    assert_eq!((refused.status, refused.header("content-type")), (413, "application/problem+json"));
    assert_eq!(topology.asked(), SERVERS.map(str::to_owned).into());
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(
    not(all(seaweedfs, python_readers, nginx)),
    ignore = "SeaweedFS or nginx is not installed; tests/run installs them"
)]
async fn what_one_server_did_the_other_one_knows() {
    let topology = Topology::start();
    let [one, other] = SERVERS;
    loaded(&topology, &["ada", "bob"], 1..20_001).await;
    topology.promote(NGINX).await;

    // Statements that run by themselves.
    let sql = json!({ "sql": "SELECT count(*) FROM customer_landing" });
    let asked = answered(topology.post(one, "/v1/statements").json(&sql)).await;
    assert_eq!(asked.status, 202, "{}", asked.text());
    let path = asked.header("location").to_owned();
    topology.until(other, &path, |statement| statement["state"] == "succeeded").await;
    for server in [one, other, NGINX] {
        let result = topology.get(server, &format!("{path}/result")).await;
        assert_eq!((result.status, &result.json()["rows"]), (200, &json!([[2]])), "{server}");
    }

    // Idempotency keys: of loads, and of long work.
    for (path, body, wrong) in [
        ("/v1/landing/customer_landing", customer("eve", 10, 1000), customer("eve", 11, 1000)),
        ("/v1/statements", sql.to_string(), json!({ "sql": "SELECT 1" }).to_string()),
        ("/v1/promotions", "{}".to_owned(), json!({ "tables": ["customer_trusted"] }).to_string()),
    ] {
        let keyed = |server, body: &str| {
            let request = topology.post(server, path).header("idempotency-key", "key-1");
            answered(request.header("content-type", "application/json").body(body.to_owned()))
        };
        let first = keyed(one, &body).await;
        assert!(first.status < 300, "{path}: {}", first.text());
        let again = keyed(other, &body).await;
        assert!(again.status < 300, "{path}: {}", again.text());
        match first.json()["id"].is_string() {
            true => assert_eq!(first.json()["id"], again.json()["id"], "{path}"),
            false => assert_eq!(first.json(), again.json(), "{path}"),
        }
        let reused = keyed(other, &wrong).await;
        assert_eq!(reused.problem(), (422, "idempotency_key_reused".to_owned()), "{path}");
    }

    // A token counts on both, one of another key on none.
    let strange = token(&topology.folder.path().join("strange.key"));
    for server in [one, other, NGINX] {
        assert_eq!(topology.get(server, "/v1/tables").await.status, 200);
        let request = topology.request(server, "GET", "/v1/tables");
        let request =
            topology.http.request(reqwest::Method::GET, request.build().unwrap().url().clone());
        assert_eq!(answered(request.bearer_auth(&strange)).await.status, 401);
    }

    // From the moment in which one server acknowledges a revocation, the other one obeys it.
    let sql = "SELECT max(subject_id) FROM customer_landing WHERE email = 'ada@rev'";
    let subject = topology.value(one, sql).await;
    let sql = format!(
        "SELECT count(*) FROM accelerometer_trusted WHERE subject_id = {}",
        subject.to_string().replace('"', "'")
    );
    for server in [one, other] {
        assert!(topology.value(server, &sql).await.as_i64() > Some(0), "{server}");
    }
    let request = topology.post(one, "/v1/revocations").json(&json!({ "email": "ada@rev" }));
    let revoked = answered(request).await;
    assert!(revoked.json()["acknowledged"].is_i64(), "{}", revoked.text());
    for server in [other, NGINX, NGINX, one] {
        assert_eq!(topology.value(server, &sql).await, json!(0), "{server}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(
    not(all(seaweedfs, python_readers, nginx)),
    ignore = "SeaweedFS or nginx is not installed; tests/run installs them"
)]
async fn one_server_ends_and_nobody_behind_nginx_sees_it() {
    let topology = Topology::start();
    topology.load(NGINX, "customer_landing", customer("ada", 10, 1000)).await;
    let kill = Command::new("kill").args(["-KILL", &topology.pids[SERVERS[0]]]).status();
    assert!(kill.unwrap().success());
    for _ in 0..20 {
        assert_eq!(topology.get(NGINX, "/v1/tables").await.status, 200);
        let count = topology.value(NGINX, "SELECT count(*) FROM customer_landing").await;
        // What the other one knows may be as old as `lake.staleness_ms`.
        assert!([json!(0), json!(1)].contains(&count), "{count}");
    }
    let since = Instant::now();
    while topology.value(NGINX, "SELECT count(*) FROM customer_landing").await != json!(1) {
        assert!(since.elapsed() < Duration::from_secs(10), "it is never there");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    topology.load(NGINX, "customer_landing", customer("bob", 10, 1000)).await;
    topology.promote(NGINX).await;
}
