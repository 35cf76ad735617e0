//! The client crate against a real server, and what is in its tree.

use std::process::Command;

use futures::TryStreamExt;
use stedi_client::openapi::{AuditQuery, Code, SqlRequest};
use stedi_client::{ClientError, Retries, Server};
use stedi_server::auth::Role;

use crate::support::{TestLake, TestServer, client};

fn request(sql: &str) -> SqlRequest {
    SqlRequest { sql: sql.to_owned(), parameters: Vec::new() }
}

#[tokio::test(flavor = "multi_thread")]
async fn results_come_as_record_batches() {
    let lake = TestLake::filled().await;
    let server = TestServer::start(&lake.config).await;
    let as_admin = Server::new(&server.url).unwrap().with_token(server.token(Role::Admin));
    let sql = "SELECT sensorreadingtime, x FROM machine_learning_curated ORDER BY 1, 2";
    let batches = as_admin.sql_batches(&request(sql)).await.unwrap();
    let schema = batches.schema();
    let names: Vec<&str> = schema.fields().iter().map(|it| it.name().as_str()).collect();
    assert_eq!(names, ["sensorreadingtime", "x"]);
    let batches: Vec<_> = batches.try_collect().await.unwrap();
    let rows: usize = batches.iter().map(|batch| batch.num_rows()).sum();
    assert_eq!(rows, lake.count("machine_learning_curated").await);
    assert!(rows > 0);
    let json = as_admin.sql(&request(sql)).await.unwrap();
    assert_eq!(json.row_count as usize, rows);

    // Without a row there is a schema.
    let none = request("SELECT x FROM machine_learning_curated WHERE false");
    let none = as_admin.sql_batches(&none).await.unwrap();
    assert_eq!(none.schema().fields().len(), 1);
    assert_eq!(none.try_collect::<Vec<_>>().await.unwrap().len(), 0);

    let refused = as_admin.sql_batches(&request("DROP TABLE x")).await.unwrap_err();
    assert!(refused.is(Code::NotASelect), "{refused}");
    assert!(as_admin.limits().await.unwrap().rows > 0);
    assert_eq!(as_admin.table("customer_trusted").await.unwrap().name, "customer_trusted");
    let query = AuditQuery { action: Some("sql".to_owned()), ..AuditQuery::default() };
    assert!(!as_admin.audit(&query).await.unwrap().records.is_empty());
    assert!(as_admin.verify_audit().await.unwrap().ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_runs_statements_and_shows_the_audit() {
    let lake = TestLake::filled().await;
    let server = TestServer::start(&lake.config).await;
    let stedi = async |arguments: &[&str]| {
        let mut command = client();
        command.env("STEDI_TOKEN", server.token(Role::Admin)).args(["--server", &server.url]);
        command.args(arguments);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), String::from_utf8(output.stdout).unwrap(), errors)
    };
    let sql = "SELECT count(*) AS n, $1 AS t FROM customer_trusted";
    let count = lake.count("customer_trusted").await;
    let csv = stedi(&["sql", sql, "-p", "\"a,b\"", "--format", "csv"]).await;
    assert_eq!(csv.1.replace("\r\n", "\n"), format!("n,t\n{count},\"a,b\"\n"), "{csv:?}");
    let json = stedi(&["sql", sql, "-p", "1", "--format", "json"]).await;
    let json: serde_json::Value = serde_json::from_str(&json.1).unwrap();
    assert_eq!(json["rows"][0][0], count);
    let table = stedi(&["sql", sql, "-p", "null"]).await;
    assert!(table.0 && table.1.contains(&count.to_string()), "{table:?}");
    let wrong = stedi(&["sql", sql, "-p", "text"]).await;
    assert!(!wrong.0 && wrong.2.contains("is not JSON"), "{wrong:?}");
    let wrong = stedi(&["sql", "SELECT 1 FROM nothing"]).await;
    assert!(!wrong.0 && wrong.2.contains("error:"), "{wrong:?}");

    let audit = stedi(&["audit", "--action", "sql", "--format", "json"]).await;
    let audit: serde_json::Value = serde_json::from_str(&audit.1).unwrap();
    assert!(audit["records"].as_array().unwrap().len() >= 3, "{audit}");
    let verify = stedi(&["audit", "verify"]).await;
    assert!(verify.0 && verify.1.contains("yes"), "{verify:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_asked_so_often_and_no_more() {
    let address = format!("http://127.0.0.1:{}", crate::support::free_port());
    let retries =
        Retries { tries: 3, first: std::time::Duration::from_millis(1), ..Retries::default() };
    let server = Server::new(&address).unwrap().with_retries(retries);
    let error = server.tables().await.unwrap_err();
    assert!(matches!(error, ClientError::NoAnswer { .. }), "{error}");
}

/// Whoever uses the client compiles no query engine.
#[test]
fn there_is_no_query_engine_in_the_clients_tree() {
    let workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let output = Command::new(env!("CARGO"))
        .args(["tree", "-p", "stedi-client", "-e", "normal", "--prefix", "none"])
        .args(["--offline", "--locked", "--manifest-path", workspace])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(tree.lines().any(|it| it.starts_with("arrow-ipc ")), "{tree}");
    let engine = |it: &&str| {
        ["datafusion", "delta", "parquet", "object_store", "stedi-server"]
            .iter()
            .any(|name| it.starts_with(name))
    };
    let found: Vec<&str> = tree.lines().filter(engine).collect();
    assert!(found.is_empty(), "{found:?}");
}
