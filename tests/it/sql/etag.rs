//! `ETag`, `If-None-Match` and what a tag depends on.

use std::collections::BTreeSet;

use serde_json::json;
use stedi_server::auth::Role;

use crate::support::{Answered, TestLake, TestServer, answered};

const COUNT: &str = "SELECT count(*) FROM machine_learning_curated";

async fn of(server: &TestServer, role: Role, sql: &str, none_match: &str) -> Answered {
    let request = server.statement(role, sql).header("if-none-match", none_match);
    answered(request).await
}

async fn tag(server: &TestServer, sql: &str) -> String {
    let answer = server.sql(Role::Trainer, sql).await;
    assert_eq!(answer.status, 200, "{sql}: {}", answer.text());
    answer.header("etag").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_answer_is_not_sent_again() {
    let lake = TestLake::filled().await;
    let server = TestServer::start(&lake.config).await;
    let first = server.sql(Role::Trainer, COUNT).await;
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with("W/\"") && tag.ends_with('"'), "{tag}");
    assert_eq!(first.header("cache-control"), "private, no-cache");
    let strong = tag.trim_start_matches("W/").to_owned();
    for given in [tag.as_str(), "*", &strong, &format!("\"other\", {tag}")] {
        let again = of(&server, Role::Trainer, COUNT, given).await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{given}");
        assert_eq!(again.header("etag"), tag);
        assert_eq!(again.header("stedi-table-versions"), "machine_learning_curated=1");
        assert_eq!(again.header("vary").to_lowercase(), "accept, authorization");
        assert_eq!(again.header("content-type"), "");
    }
    for given in ["\"other\"", "", &format!("\"a{}", &strong[1..])] {
        assert_eq!(of(&server, Role::Trainer, COUNT, given).await.rows(), json!([[5]]), "{given}");
    }
    // Running it is not what makes it the same: the turn is given back.
    server.until_going_on((0, 0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_answer_has_another_tag() {
    let lake = TestLake::filled().await;
    let server = TestServer::start(&lake.config).await;
    let mut tags = BTreeSet::new();
    let mut new = |tag: &str| assert!(!tag.is_empty() && tags.insert(tag.to_owned()), "{tag}");
    let sql = "SELECT x FROM machine_learning_curated WHERE x > $1";
    new(&tag(&server, COUNT).await);
    new(&tag(&server, "SELECT count(x) FROM machine_learning_curated").await);
    new(&tag(&server, "SELECT count(*) FROM machine_learning_curated VERSION AS OF 0").await);
    for parameters in [json!([1]), json!([1.0]), json!(["1"]), json!([2])] {
        new(server.bound(Role::Trainer, sql, parameters).await.header("etag"));
    }
    for accept in [
        "text/csv",
        "application/x-ndjson",
        "application/vnd.apache.arrow.stream",
        "application/vnd.apache.arrow.stream; codecs=zstd",
        "application/vnd.apache.parquet",
    ] {
        let request = server.statement(Role::Trainer, COUNT).header("accept", accept);
        new(answered(request).await.header("etag"));
    }
    let star = "SELECT * FROM customer_curated";
    for role in [Role::Trainer, Role::Analyst, Role::Admin] {
        new(server.sql(role, star).await.header("etag"));
    }
    assert_eq!(tag(&server, COUNT).await, tag(&server, COUNT).await);

    // What depends on more than the tables has none.
    for sql in [
        "SELECT now()",
        "SELECT count(*) FROM machine_learning_curated WHERE x > random()",
        "SELECT current_date",
        "SELECT 1 WHERE EXISTS (SELECT now())",
        "WITH w AS (SELECT uuid() AS u) SELECT * FROM w",
        "SELECT table_name FROM information_schema.tables",
    ] {
        assert_eq!(tag(&server, sql).await, "", "{sql}");
        assert_eq!(of(&server, Role::Trainer, sql, "*").await.status, 200, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_table_changes_the_tag() {
    let lake = TestLake::filled().await;
    let server = TestServer::start(&lake.config).await;
    let pinned = "SELECT count(*) FROM machine_learning_curated VERSION AS OF 1";
    let other = "SELECT count(*) FROM customer_curated";
    let (before, past, unchanged) =
        (tag(&server, COUNT).await, tag(&server, pinned).await, tag(&server, other).await);
    let landing = "SELECT count(*) FROM step_trainer_landing";
    let landed = server.sql(Role::Admin, landing).await;
    // Another reading of ada's device at a time at which she has one.
    let step = r#"{"sensorReadingTime":1000,"serialNumber":"d1","distanceFromObject":77}"#;
    lake.load("step_trainer_landing", step).await;
    let again = of(&server, Role::Admin, landing, landed.header("etag")).await;
    assert_eq!(again.rows(), json!([[10]]));
    // Nothing is derived from it yet.
    assert_eq!(of(&server, Role::Trainer, COUNT, &before).await.status, 304);
    lake.promote().await;
    let after = of(&server, Role::Trainer, COUNT, &before).await;
    assert_eq!(after.status, 200);
    assert_ne!(after.header("etag"), before);
    assert_eq!(after.header("stedi-table-versions"), "machine_learning_curated=2");
    assert_eq!(tag(&server, pinned).await, past);
    assert_eq!(tag(&server, other).await, unchanged);
}
