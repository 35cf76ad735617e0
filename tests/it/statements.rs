//! `/v1/statements`: statements that run by themselves, and outlive their server.

use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use stedi_server::auth::Role;
use stedi_server::config::{Config, LimitsConfig, RoleLimitsConfig, StatementsConfig};

use crate::sql::{arrow, parquet};
use crate::support::{Answered, Serving, TestLake, TestServer, answered, endless, many};

const PATH: &str = "/v1/statements";

async fn served(statements: StatementsConfig) -> (TestLake, TestServer) {
    let lake = TestLake::new().await;
    let server = TestServer::start(&Config { statements, ..lake.config.clone() }).await;
    (lake, server)
}

fn ask(server: &TestServer, sql: &str) -> RequestBuilder {
    server.post_sql(PATH, Role::Analyst, sql)
}

fn id(answer: &Answered) -> String {
    answer.json()["id"].as_str().unwrap().to_owned()
}

/// A request of somebody for a statement.
fn of(server: &TestServer, token: &str, method: Method, rest: &str) -> RequestBuilder {
    server.request(method, &format!("{PATH}/{rest}"), Some(token))
}

/// The statement once it is in a state.
async fn until(server: &TestServer, id: &str, state: &str) -> Value {
    let (token, began) = (server.token(Role::Analyst), Instant::now());
    loop {
        let (_, now) = server.json(&format!("{PATH}/{id}"), Some(&token)).await;
        if now["state"] == state {
            return now;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "not {state}: {now}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Until it is not answered for any more.
async fn until_expired(server: &TestServer, id: &str) {
    let (token, began) = (server.token(Role::Analyst), Instant::now());
    loop {
        let answer = answered(of(server, &token, Method::GET, id)).await;
        if answer.status == 404 {
            assert_eq!(answer.problem(), (404, "statement_not_found".to_owned()));
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "it does not expire");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_is_kept_in_chunks_of_every_format() {
    const ROWS: u64 = 150_000;
    let (_lake, server) = served(StatementsConfig::default()).await;
    let token = server.token(Role::Analyst);
    let answer = answered(ask(&server, &format!("SELECT n FROM ({})", many(ROWS)))).await;
    assert_eq!(answer.status, 202);
    let id = id(&answer);
    assert_eq!(answer.header("location"), format!("{PATH}/{id}"));
    let done = until(&server, &id, "succeeded").await;
    assert_eq!((&done["row_count"], &done["principal"]), (&json!(ROWS), &json!("test")));
    let chunks = done["chunks"].as_array().unwrap();
    assert!(chunks.len() > 1, "{done}");
    let (mut next, mut rows) = (format!("{id}/result"), 0);
    for chunk in chunks {
        assert_eq!(chunk["row_offset"], rows);
        let answer = answered(of(&server, &token, Method::GET, &next)).await;
        assert_eq!(answer.json()["row_count"], chunk["row_count"]);
        rows += chunk["row_count"].as_u64().unwrap();
        let link = answer.header("link").to_owned();
        let end =
            link.strip_prefix(&format!("<{PATH}/")).and_then(|it| it.split_once(">; rel=\"next\""));
        next = end.map_or(String::new(), |(path, _)| path.to_owned());
    }
    assert_eq!((rows, next.as_str()), (ROWS, ""));
    let last = chunks.len() - 1;
    let expected = chunks[last]["row_count"].as_u64().unwrap() as usize;
    for accept in [
        "text/csv",
        "application/x-ndjson",
        "application/vnd.apache.arrow.stream",
        "application/vnd.apache.parquet",
    ] {
        let request = of(&server, &token, Method::GET, &format!("{id}/result?chunk={last}"));
        let answer = answered(request.header("accept", accept)).await;
        assert!(answer.header("content-type").starts_with(accept));
        let rows = match accept {
            "text/csv" | "application/x-ndjson" => answer.text().lines().count() - 1,
            "application/vnd.apache.arrow.stream" => {
                arrow(&answer.body).iter().map(|it| it.num_rows()).sum()
            }
            _ => parquet(answer.body).iter().map(|it| it.num_rows()).sum(),
        };
        assert_eq!(rows, expected, "{accept}");
    }
    let beyond = answered(of(&server, &token, Method::GET, &format!("{id}/result?chunk=99"))).await;
    assert_eq!(beyond.problem(), (404, "statement_not_found".to_owned()));
    let negative =
        answered(of(&server, &token, Method::GET, &format!("{id}/result?chunk=-1"))).await;
    assert_eq!(negative.problem(), (400, "malformed".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_fails_and_is_cancelled() {
    let lake = TestLake::new().await;
    let own = RoleLimitsConfig { bytes: 100_000, rows: 30_000, ..RoleLimitsConfig::default() };
    let limits =
        LimitsConfig { roles: [("analyst".to_owned(), own)].into(), ..LimitsConfig::default() };
    let server = TestServer::start(&Config { limits, ..lake.config.clone() }).await;
    let token = server.token(Role::Analyst);
    let answer = answered(ask(&server, "SELECT 7 AS n").header("prefer", "wait=20")).await;
    assert_eq!((answer.status, &answer.json()["state"]), (200, &json!("succeeded")));
    // What is wrong with the text is said at once.
    let answer = answered(ask(&server, "DELETE FROM customer_trusted")).await;
    assert_eq!(answer.problem(), (422, "not_a_select".to_owned()));
    // The rest is its outcome. A result within one chunk has a limit too.
    for (sql, code) in [
        ("SELECT * FROM customer_landing".to_owned(), "table_not_found"),
        ("SELECT 1 / (n - n) FROM (VALUES (1)) v(n)".to_owned(), "statement_failed"),
        (format!("SELECT md5(CAST(n AS VARCHAR)) FROM ({})", many(20_000)), "too_many_bytes"),
        (format!("SELECT n FROM ({})", many(30_001)), "too_many_rows"),
    ] {
        let answer = answered(ask(&server, &sql).header("prefer", "wait=20")).await;
        assert_eq!((answer.status, &answer.json()["state"]), (200, &json!("failed")), "{sql}");
        assert_eq!(answer.json()["error"]["code"], code, "{sql}");
        let result = of(&server, &token, Method::GET, &format!("{}/result", id(&answer)));
        assert_eq!(answered(result).await.problem(), (409, "statement_not_done".to_owned()));
    }
    let id = id(&answered(ask(&server, &endless())).await);
    until(&server, &id, "running").await;
    let result = answered(of(&server, &token, Method::GET, &format!("{id}/result"))).await;
    assert_eq!(result.problem(), (409, "statement_not_done".to_owned()));
    for _ in 0..2 {
        let cancelled = answered(of(&server, &token, Method::POST, &format!("{id}/cancel"))).await;
        assert_eq!((cancelled.status, &cancelled.json()["state"]), (200, &json!("cancelled")));
    }
    assert!(server.until_going_on((0, 0)).await < Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_belongs_to_who_asked() {
    let (_lake, server) = served(StatementsConfig::default()).await;
    let with_key = |token: String, sql: &str, key: &str| {
        let request = server.request(Method::POST, PATH, Some(&token)).body(sql.to_owned());
        let request = request.header("content-type", "text/plain").header("prefer", "wait=20");
        answered(request.header("idempotency-key", key))
    };
    let own = || server.token(Role::Analyst);
    let first = id(&with_key(own(), "SELECT 1", "k").await);
    assert_eq!(id(&with_key(own(), "SELECT 1", "k").await), first);
    let other = with_key(own(), "SELECT 2", "k").await;
    assert_eq!(other.problem(), (422, "idempotency_key_reused".to_owned()));
    let theirs = || server.token_of(Role::Analyst, "somebody else");
    assert_ne!(id(&with_key(theirs(), "SELECT 1", "k").await), first);
    assert_ne!(id(&with_key(own(), "SELECT 1", "l").await), first);
    // A role that was taken away is not read with either.
    let less = || server.token(Role::Trainer);
    assert_eq!(with_key(less(), "SELECT 1", "k").await.problem().0, 422);
    for rest in ["", "/result"] {
        let path = format!("{first}{rest}");
        for token in [theirs(), less(), server.token_of(Role::Trainer, "x")] {
            let answer = answered(of(&server, &token, Method::GET, &path)).await;
            assert_eq!(answer.problem(), (404, "statement_not_found".to_owned()), "{path}");
        }
        for token in [own(), server.token_of(Role::Admin, "root")] {
            assert_eq!(answered(of(&server, &token, Method::GET, &path)).await.status, 200);
        }
    }
    let cancel = answered(of(&server, &theirs(), Method::POST, &format!("{first}/cancel"))).await;
    assert_eq!(cancel.problem(), (404, "statement_not_found".to_owned()));
    for nothing in ["0", "..%2F..%2Flake.json", "00000000000000000000000000000000"] {
        let answer = answered(of(&server, &own(), Method::GET, nothing)).await;
        assert_eq!(answer.problem().0, 404, "{nothing}");
    }
}

/// One statement of a server process; `""` is all of them.
async fn request(serving: &Serving, method: Method, rest: &str, sql: Option<&str>) -> Answered {
    let url = format!("{}{PATH}{rest}", serving.url);
    let token = serving.token(Role::Analyst, "ada");
    let request = Client::new().request(method, url).bearer_auth(token);
    answered(match sql {
        Some(sql) => request.header("content-type", "text/plain").body(sql.to_owned()),
        None => request,
    })
    .await
}

async fn process_until(serving: &Serving, id: &str, state: &str) -> Value {
    let began = Instant::now();
    loop {
        let now = request(serving, Method::GET, &format!("/{id}"), None).await.json();
        if now["state"] == state {
            return now;
        }
        assert!(began.elapsed() < Duration::from_secs(120), "not {state}: {now}");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

async fn begun(serving: &Serving, sql: &str, state: &str) -> String {
    let id = id(&request(serving, Method::POST, "", Some(sql)).await);
    process_until(serving, &id, state).await;
    id
}

fn objects(folder: &Path, id: &str) -> Vec<String> {
    let folder = std::fs::read_dir(folder.join(".stedi/lake/system/statements").join(id));
    let entries = folder.into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_outlives_its_server() {
    let folder = tempfile::tempdir().unwrap();
    let toml = "[statements]\nlease_seconds = 1\nat_once = 4\n";
    let first = Serving::start(folder.path(), toml).await;
    let finished = begun(&first, "SELECT 7 AS n", "succeeded").await;
    // Some seconds of work; it comes last, so that it is found running.
    let work = format!("SELECT count(*) AS n FROM ({}) WHERE sqrt(n) >= 0", many(9_000_000));
    let doomed = begun(&first, &endless(), "running").await;
    let killed = begun(&first, &work, "running").await;
    first.process.kill();

    let second = Serving::start(folder.path(), toml).await;
    let result = request(&second, Method::GET, &format!("/{finished}/result"), None).await;
    assert_eq!(result.rows(), json!([[7]]));
    // Cancelled while nobody runs it, or by the server that took it over.
    request(&second, Method::POST, &format!("/{doomed}/cancel"), None).await;
    process_until(&second, &doomed, "cancelled").await;
    process_until(&second, &killed, "succeeded").await;
    let result = request(&second, Method::GET, &format!("/{killed}/result"), None).await;
    assert_eq!(result.rows(), json!([[9_000_000]]));
    assert!(objects(folder.path(), &killed).contains(&"run-2.json".to_owned()));

    // A server that is told to stop leaves it to the next, without waiting for the lease.
    let left = begun(&second, &work, "running").await;
    assert_eq!(second.process.terminate(), Some(0));
    let run = folder.path().join(".stedi/lake/system/statements").join(&left).join("run-1.json");
    let run: Value = serde_json::from_slice(&std::fs::read(run).unwrap()).unwrap();
    assert_eq!(run["left"], true, "{run}");
    let third = Serving::start(folder.path(), toml).await;
    process_until(&third, &left, "succeeded").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_attempts_that_die_are_enough() {
    let folder = tempfile::tempdir().unwrap();
    let toml = "[statements]\nlease_seconds = 1\n";
    let mut serving = Serving::start(folder.path(), toml).await;
    let id = begun(&serving, &endless(), "running").await;
    for attempt in 1..=3 {
        let began = Instant::now();
        while !objects(folder.path(), &id).contains(&format!("run-{attempt}.json")) {
            assert!(began.elapsed() < Duration::from_secs(20), "no attempt {attempt}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        serving.process.kill();
        serving = Serving::start(folder.path(), toml).await;
    }
    let failed = process_until(&serving, &id, "failed").await;
    assert_eq!(failed["error"]["code"], "internal");
    assert_eq!(serving.process.terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_answer_for_each_other_and_what_expires_is_removed() {
    let rules = StatementsConfig { lease_seconds: 1, ..StatementsConfig::default() };
    let (lake, one) = served(rules.clone()).await;
    let two = TestServer::start(&Config { statements: rules.clone(), ..lake.config.clone() }).await;
    let token = one.token(Role::Analyst);
    let done = id(&answered(ask(&one, "SELECT 7").header("prefer", "wait=10")).await);
    let result = answered(of(&two, &token, Method::GET, &format!("{done}/result"))).await;
    assert_eq!(result.rows(), json!([[7]]));
    let runs = id(&answered(ask(&one, &endless())).await);
    until(&two, &runs, "running").await;
    answered(of(&two, &token, Method::POST, &format!("{runs}/cancel"))).await;
    until(&two, &runs, "cancelled").await;
    one.until_going_on((0, 0)).await;
    // TestServer does not sweep; the app does.
    let rules = StatementsConfig { keep_seconds: 1, ..rules };
    let brief = TestServer::start(&Config { statements: rules, ..lake.config.clone() }).await;
    let expires = id(&answered(ask(&brief, "SELECT 7")).await);
    let folder = lake.root().join("system/statements");
    until_expired(&two, &expires).await;
    assert!(folder.join(&expires).exists());
    let app = stedi_server::app::App::open(&lake.config).await.unwrap();
    app.statements.sweep().await.unwrap();
    assert!(!folder.join(&expires).exists());
    assert!(folder.join(&done).exists() && folder.join(&runs).exists());
}
