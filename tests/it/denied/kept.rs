//! Results that are kept.

use reqwest::Method;
use serde_json::Value;
use stedi_server::auth::Role;

use super::Site;
use crate::support::{Answered, DIGITS, TestServer, answered};

async fn ask(server: &TestServer, sql: &str) -> Value {
    let request = server.post_sql("/v1/statements", Role::Analyst, sql);
    let answer = answered(request.header("prefer", "wait=20")).await;
    assert!(answer.status == 200 || answer.status == 202, "{}", answer.text());
    answer.json()
}

async fn get(server: &TestServer, path: &str) -> Answered {
    answered(server.request(Method::GET, path, Some(&server.token(Role::Analyst)))).await
}

async fn result(server: &TestServer, statement: &Value) -> Answered {
    let id = statement["id"].as_str().unwrap();
    get(server, &format!("/v1/statements/{id}/result")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_result_is_gone_and_what_was_asked_later_stays() {
    let site = Site::new().await;
    let [one, other] = &site.servers;
    let subjects = "SELECT subject_id FROM customer_trusted";
    let (before, nothing) = (ask(one, subjects).await, ask(one, "SELECT 1").await);
    assert_eq!(result(other, &before).await.rows().as_array().unwrap().len(), 6);
    site.deny("r1", &["ada"]).await;
    for server in &site.servers {
        let gone = result(server, &before).await;
        assert_eq!(gone.problem(), (404, "statement_not_found".to_owned()));
        assert_eq!(result(server, &nothing).await.status, 200);
    }
    let after = ask(other, subjects).await;
    assert_eq!(result(one, &after).await.rows().as_array().unwrap().len(), 5);

    // Its bytes go when it is told so, the others stay.
    let folder = |statement: &Value| {
        site.lake.root().join("system/statements").join(statement["id"].as_str().unwrap())
    };
    assert!(folder(&before).exists());
    assert_eq!(site.lake.app.statements.drop_denied().await.unwrap(), 1);
    assert!(!folder(&before).exists() && folder(&after).exists() && folder(&nothing).exists());
    assert_eq!(site.lake.app.statements.drop_denied().await.unwrap(), 0);
    assert_eq!(result(other, &after).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_runs_by_itself_is_ended() {
    let site = Site::new().await;
    let digits = (0..8).map(|at| format!("digits d{at}")).collect::<Vec<_>>().join(", ");
    // Slow enough that it does not end by itself: a row costs some digests.
    let numbers = (0..8).map(|at| format!("d{at}.n")).collect::<Vec<_>>().join(" + ");
    let sql = format!(
        "WITH {DIGITS} SELECT t.subject_id FROM customer_trusted AS t, {digits} \
         WHERE sha512(sha512(sha512(concat(t.subject_id, {numbers})))) IS NOT NULL"
    );
    let request = site.servers[1].post_sql("/v1/statements", Role::Admin, &sql);
    let statement = answered(request).await.json();
    let path = format!("/v1/statements/{}", statement["id"].as_str().unwrap());
    let now = async || {
        let token = site.servers[1].token(Role::Admin);
        answered(site.servers[1].request(Method::GET, &path, Some(&token))).await.json()
    };
    loop {
        let now = now().await;
        if now["chunks"].as_array().is_some_and(|chunks| !chunks.is_empty()) {
            break;
        }
        assert!(["queued", "running"].contains(&now["state"].as_str().unwrap()), "{now}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    site.deny("r1", &["ada"]).await;
    let ended = loop {
        let now = now().await;
        if now["state"] != "running" {
            break now;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(ended["state"], "failed", "{ended}");
    assert!(ended["error"].to_string().contains("consent_changed"), "{ended}");
    // What it wrote so far goes too.
    assert_eq!(site.lake.app.statements.drop_denied().await.unwrap(), 1);
    assert!(!site.lake.root().join("system").join(&path[4..]).exists());
}
