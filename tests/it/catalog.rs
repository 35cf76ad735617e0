//! The catalog: what a role may not see is not there.

use serde_json::Value;
use stedi_server::auth::Role;

use crate::support::{TestLake, TestServer, client, fixture};

const PII: [&str; 7] = ["customername", "email", "phone", "birthday", "user", "raw", "file"];

async fn served() -> (TestLake, TestServer) {
    let lake = TestLake::new().await;
    lake.load_folder(&fixture()).await;
    lake.promote().await;
    let server = TestServer::start(&lake.config).await;
    (lake, server)
}

fn names<'a>(list: &'a Value, name: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|item| item[name].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_sees_its_tables_and_columns() {
    let (_lake, server) = served().await;
    let trusted = ["customer_trusted", "accelerometer_trusted", "step_trainer_trusted"];
    let curated = ["customer_curated", "machine_learning_curated"];
    let everything = server.json("/v1/tables", Some(&server.token(Role::Admin))).await.1;
    let all = names(&everything["tables"], "name");
    assert_eq!(all.len(), 14, "{all:?}");
    for (role, zones) in [
        (Role::Admin, &["landing", "trusted", "curated", "system"][..]),
        (Role::Analyst, &["trusted", "curated"]),
        (Role::Trainer, &["curated"]),
    ] {
        let token = server.token(role);
        let (status, list) = server.json("/v1/tables", Some(&token)).await;
        assert_eq!(status, 200);
        let seen = names(&list["tables"], "name");
        for table in &all {
            let zone = match table {
                _ if trusted.contains(table) => "trusted",
                _ if curated.contains(table) => "curated",
                &"audit" | &"runs" => "system",
                _ => "landing",
            };
            let expected = zones.contains(&zone);
            assert_eq!(seen.contains(table), expected, "{role:?} {table}");
            let path = format!("/v1/tables/{table}");
            match expected {
                true => {
                    let (status, one) = server.json(&path, Some(&token)).await;
                    assert_eq!(status, 200);
                    assert_eq!(one["zone"], zone);
                    let columns = names(&one["columns"], "name");
                    let pii = columns.iter().any(|column| PII.contains(column));
                    let admin = role == Role::Admin;
                    assert!(admin || !pii, "{role:?} {columns:?}");
                    let everyone = table.starts_with("customer") && *table != "customer_revocation";
                    assert!(!admin || !everyone || pii, "{columns:?}");
                }
                // The same as for a table that does not exist.
                false => {
                    let hidden = server.problem(&path, Some(&token)).await;
                    let missing = server.problem("/v1/tables/nothing", Some(&token)).await;
                    assert_eq!(hidden, missing);
                    assert_eq!(hidden, (404, "table_not_found".to_owned()));
                }
            }
        }
        if role != Role::Admin {
            let text = list.to_string();
            for hidden in ["landing", "email", "birthday"] {
                assert!(!text.contains(hidden), "{role:?} sees {hidden}: {text}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_says_what_it_holds_and_what_it_was_made_from() {
    let (_lake, server) = served().await;
    let token = server.token(Role::Analyst);
    let path = "/v1/tables/machine_learning_curated";
    let (_, table) = server.json(path, Some(&token)).await;
    assert_eq!((&table["version"], &table["rows"]), (&1.into(), &5.into()));
    assert!(table["bytes"].as_u64().unwrap() > 100);
    // A source that the role does not see is not named.
    let sources = serde_json::json!({ "step_trainer_trusted": 1, "accelerometer_trusted": 1 });
    assert_eq!(table["sources"], sources);
    let kinds: Vec<(&str, &str)> = table["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| (column["name"].as_str().unwrap(), column["type"].as_str().unwrap()))
        .collect();
    assert_eq!(kinds[0], ("subject_id", "VARCHAR"));
    assert_eq!(kinds[1], ("sensorreadingtime", "BIGINT"));
    assert_eq!(kinds[6], ("z", "DOUBLE"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_lists_tables() {
    let (_lake, server) = served().await;
    let token = server.token(Role::Analyst);
    let run = |token: &str, format: &str| {
        let arguments = ["--server", &server.url, "--token", token, "--format", format, "tables"];
        client().args(arguments).output().unwrap()
    };
    let csv = String::from_utf8(run(&token, "csv").stdout).unwrap();
    let line = csv.lines().find(|line| line.contains("machine_learning_curated")).unwrap();
    assert!(
        line.starts_with("curated,machine_learning_curated,5,") && line.ends_with(",1"),
        "{csv}"
    );
    let json: Value = serde_json::from_slice(&run(&token, "json").stdout).unwrap();
    assert_eq!(json["tables"].as_array().unwrap().len(), 5);
    assert!(String::from_utf8(run(&token, "table").stdout).unwrap().contains("customer_curated"));
    let refused = run("x.y.z", "table");
    assert!(!refused.status.success());
    assert!(String::from_utf8(refused.stderr).unwrap().contains("token_invalid"));
}
