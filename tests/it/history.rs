//! The history of a table: what happened, by whom, and nothing of what the rows hold.

use serde_json::Value;
use stedi_server::auth::Role;

use crate::support::{TestLake, TestServer, client, fixture};

const CUSTOMER: &str = r#"{"email":"canary@example.com","customerName":"Canary","phone":"5550199",
    "birthDay":"1999-09-09","serialNumber":"d9","lastUpdateDate":9,"shareWithResearchAsOfDate":9}"#;

/// Two promotions, with a customer more for the second.
async fn served() -> (TestLake, TestServer) {
    let lake = TestLake::new().await;
    lake.load_folder(&fixture()).await;
    lake.promote().await;
    lake.load("customer_landing", format!("{CUSTOMER}\nbroken\n")).await;
    lake.promote().await;
    let server = TestServer::start(&lake.config).await;
    (lake, server)
}

fn numbers(versions: &Value, name: &str) -> Vec<Option<u64>> {
    versions.as_array().unwrap().iter().map(|version| version[name].as_u64()).collect()
}

fn words<'a>(versions: &'a Value, name: &str) -> Vec<Option<&'a str>> {
    versions.as_array().unwrap().iter().map(|version| version[name].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_says_what_happened() {
    let (lake, server) = served().await;
    let admin = server.token(Role::Admin);
    let (status, history) = server.json("/v1/tables/customer_trusted/history", Some(&admin)).await;
    assert_eq!(status, 200);
    let versions = &history["versions"];
    assert_eq!(numbers(versions, "version"), [Some(2), Some(1), Some(0)]);
    assert_eq!(numbers(versions, "rows_inserted"), [Some(1), Some(6), Some(0)]);
    assert_eq!(numbers(versions, "rows_deleted"), [Some(0), Some(0), Some(0)]);
    assert_eq!(words(versions, "operation"), [Some("promote"), Some("promote"), Some("create")]);
    assert_eq!(words(versions, "mode"), [Some("subjects"), Some("rebuild"), None]);
    let why = [Some("rows changed"), Some("it is new"), None];
    assert_eq!(words(versions, "why"), why);
    assert_eq!(words(versions, "who"), [Some("test"), Some("test"), None]);
    // The source's versions: two files of the fixture, then one more load.
    assert_eq!(
        versions[0]["sources"],
        serde_json::json!({ "customer_landing": 3, "customer_revocation": 0 })
    );
    assert_eq!(
        versions[1]["sources"],
        serde_json::json!({ "customer_landing": 2, "customer_revocation": 0 })
    );
    assert_eq!(versions[2]["sources"], serde_json::json!({}));
    assert_eq!(numbers(versions, "bytes_removed"), [Some(0), Some(0), Some(0)]);
    assert!(versions[1]["bytes_added"].as_u64().unwrap() > 100);
    assert_eq!((&history["first"], history.get("next")), (&0.into(), None));
    let times = numbers(versions, "timestamp");
    assert!(times.is_sorted_by(|newer, older| newer >= older), "{times:?}");

    // What the newest version says is what the table says.
    let (_, table) = server.json("/v1/tables/customer_trusted", Some(&admin)).await;
    for name in ["version", "timestamp", "time", "sources"] {
        assert_eq!(table[name], versions[0][name], "{name}");
    }
    let bytes = numbers(versions, "bytes_added").into_iter().flatten().sum::<u64>();
    assert_eq!((&table["rows"], &table["bytes"]), (&7.into(), &bytes.into()));
    let files = std::fs::read_dir(lake.root().join("trusted/customer_trusted")).unwrap();
    let parquet = files.filter(|file| {
        file.as_ref().unwrap().path().extension().is_some_and(|extension| extension == "parquet")
    });
    assert_eq!(table["files"].as_u64().unwrap(), parquet.count() as u64, "{table}");
    assert!(table["description"].as_str().unwrap().contains("research consent"));

    let (_, rejected) =
        server.json("/v1/tables/customer_landing_rejected/history", Some(&admin)).await;
    assert_eq!(words(&rejected["versions"], "operation"), [Some("load"), Some("create")]);
    assert_eq!(numbers(&rejected["versions"], "rows_inserted"), [Some(1), Some(0)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_comes_in_pages_and_says_where_it_begins() {
    let (lake, server) = served().await;
    let admin = server.token(Role::Admin);
    let page = async |query: &str| {
        let path = format!("/v1/tables/customer_landing/history{query}");
        let (status, page) = server.json(&path, Some(&admin)).await;
        assert_eq!(status, 200, "{query}: {page}");
        (numbers(&page["versions"], "version"), page["next"].as_u64(), page["first"].as_u64())
    };
    let all = vec![Some(3), Some(2), Some(1), Some(0)];
    assert_eq!(page("").await, (all.clone(), None, Some(0)));
    assert_eq!(page("?limit=1000").await, (all.clone(), None, Some(0)));
    assert_eq!(page("?limit=3").await, (all[..3].to_vec(), Some(1), Some(0)));
    assert_eq!(page("?limit=3&before=1").await, (all[3..].to_vec(), None, Some(0)));
    assert_eq!(page("?before=0").await, (vec![], None, Some(0)));
    assert_eq!(page("?before=99").await, (all.clone(), None, Some(0)));
    for query in ["limit=0", "limit=1001", "limit=-1", "limit=x", "before=-1", "page=2"] {
        let path = format!("/v1/tables/customer_landing/history?{query}");
        let problem = server.problem(&path, Some(&admin)).await;
        assert_eq!(problem, (400, "malformed".to_owned()), "{query}");
    }

    // Log cleanup behind a checkpoint leaves the newest commits.
    let folder = lake.root().join("landing/customer_landing");
    let url = reqwest::Url::from_directory_path(&folder).unwrap();
    let table = deltalake::open_table(url).await.unwrap();
    deltalake::checkpoints::create_checkpoint(&table, None).await.unwrap();
    for version in [0, 1] {
        std::fs::remove_file(folder.join(format!("_delta_log/{version:020}.json"))).unwrap();
    }
    assert_eq!(page("").await, (all[..2].to_vec(), None, Some(2)));
    assert_eq!(page("?limit=1").await, (all[..1].to_vec(), Some(3), Some(2)));
    assert_eq!(page("?limit=1&before=3").await, (all[1..2].to_vec(), None, Some(2)));
    assert_eq!(page("?before=1").await, (vec![], None, Some(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_sees_the_history_of_its_tables_and_no_value_of_a_person() {
    let (_lake, server) = served().await;
    for role in Role::ALL {
        let token = server.token(role);
        let (status, list) = server.json("/v1/tables", Some(&server.token(Role::Admin))).await;
        assert_eq!(status, 200);
        let (_, seen) = server.json("/v1/tables", Some(&token)).await;
        let seen = seen["tables"].to_string();
        for table in list["tables"].as_array().unwrap() {
            let name = table["name"].as_str().unwrap();
            let path = format!("/v1/tables/{name}/history");
            if role == Role::Ingest {
                let problem = server.problem(&path, Some(&token)).await;
                assert_eq!(problem, (403, "forbidden".to_owned()), "{name}");
                continue;
            }
            if !seen.contains(&format!("\"name\":\"{name}\"")) {
                let problem = server.problem(&path, Some(&token)).await;
                assert_eq!(problem, (404, "table_not_found".to_owned()), "{role:?} {name}");
                continue;
            }
            let text = server.get(&path, Some(&token)).await.text().await.unwrap();
            for leak in ["canary", "Canary", "5550199", "1999-09-09", "d9", ".parquet", "load:"] {
                assert!(!text.contains(leak), "{role:?} {name} shows {leak}: {text}");
            }
            assert!(role == Role::Admin || !text.contains("landing"), "{role:?} {name}: {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_shows_it() {
    let (_lake, server) = served().await;
    let token = server.token(Role::Analyst);
    let run = |arguments: &[&str]| {
        let mut command = client();
        command.args(["--server", &server.url, "--token", &token]).args(arguments);
        command.output().unwrap()
    };
    let csv = run(&["--format", "csv", "history", "step_trainer_trusted", "--limit", "2"]);
    let csv = String::from_utf8(csv.stdout).unwrap();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 3, "{csv}");
    assert!(lines[1].starts_with("2,20") && lines[1].contains(",promote (subjects),test,0,0,"));
    assert!(lines[1].ends_with(",customer_curated@2 customer_trusted@2"), "{csv}");
    let json = run(&["--format", "json", "history", "step_trainer_trusted"]);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["versions"].as_array().unwrap().len(), 3);
    let table = run(&["history", "step_trainer_trusted"]);
    assert!(String::from_utf8(table.stdout).unwrap().contains("create"));
    // A name that would be another path.
    let wrong = run(&["history", "../tables"]);
    assert!(!wrong.status.success());
    assert!(String::from_utf8(wrong.stderr).unwrap().contains("table_not_found"));
}
