//! The client of those who made the protocol, with a profile that `stedi share profile` writes.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};
use stedi_server::auth::Role;

use super::{DERIVED, Site, versions};
use crate::support::{client, python};

/// What `stedi share profile` writes.
fn profile(site: &Site, role: Role, file: &Path) {
    let mut command = client();
    command.args(["--server", &site.server.url, "share", "profile", "--out"]).arg(file);
    let output = command.env("STEDI_TOKEN", site.server.token(role)).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.is_empty());
    let mode = std::fs::metadata(file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(text["shareCredentialsVersion"], 1);
    assert_eq!(text["endpoint"], format!("{}/sharing", site.server.url));
    let expires = text["expirationTime"].as_str().unwrap();
    let expires = chrono::DateTime::parse_from_rfc3339(expires).unwrap();
    let left = expires.timestamp() - chrono::Utc::now().timestamp();
    assert!((500..=600).contains(&left), "{left}");
}

/// What the client reads, as JSON.
async fn read(profile: &Path, arguments: &[&str]) -> Value {
    let mut all = vec![arguments[0].to_owned(), profile.to_str().unwrap().to_owned()];
    all.extend(arguments[1..].iter().map(|argument| (*argument).to_owned()));
    let run = tokio::task::spawn_blocking(move || {
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        python("share.py", &all, &[])
    });
    serde_json::from_str(&run.await.unwrap()).unwrap()
}

/// Rows as the script prints them: whole numbers without a fraction, whatever their type.
fn text(rows: Vec<Vec<String>>) -> Value {
    let plain = |cell: String| cell.strip_suffix(".0").map(str::to_owned).unwrap_or(cell);
    let rows = rows.into_iter().map(|row| row.into_iter().map(plain).collect());
    let mut rows: Vec<Vec<String>> = rows.collect();
    rows.sort();
    serde_json::to_value(rows).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(python_readers), ignore = "delta-sharing is not installed; tests/run installs it")]
async fn it_lists_and_loads_tables() {
    let site = Site::new().await;
    let folder = tempfile::tempdir().unwrap();
    let (analyst, trainer) = (folder.path().join("analyst"), folder.path().join("trainer"));
    profile(&site, Role::Analyst, &analyst);
    profile(&site, Role::Trainer, &trainer);
    // A second time, over the first one.
    profile(&site, Role::Trainer, &trainer);

    let mut all: Vec<String> =
        DERIVED.iter().map(|(zone, table)| format!("stedi.{zone}.{table}")).collect();
    all.sort();
    assert_eq!(read(&analyst, &["list"]).await, serde_json::to_value(&all).unwrap());
    all.retain(|name| name.starts_with("stedi.curated."));
    assert_eq!(read(&trainer, &["list"]).await, serde_json::to_value(&all).unwrap());

    for (zone, table) in DERIVED {
        let name = format!("stedi.{zone}.{table}");
        let loaded = read(&analyst, &["load", &name]).await;
        let columns = loaded["columns"].as_array().unwrap().iter();
        let columns: Vec<&str> = columns.map(|name| name.as_str().unwrap()).collect();
        let sql = format!("SELECT {} FROM {table}", columns.join(", "));
        assert_eq!(loaded["rows"], text(site.lake.sorted(&sql).await), "{table}");
        assert!(super::PII.iter().all(|name| !columns.contains(name)), "{columns:?}");
    }
    let curated = "stedi.curated.machine_learning_curated";
    let limited = read(&trainer, &["load", curated, "limit=2"]).await;
    assert_eq!(limited["rows"].as_array().unwrap().len(), 2);
    // Hints of a condition leave out files that have no row of it.
    let column = json!({ "op": "column", "name": "sensorReadingTime", "valueType": "long" });
    let value = |value: &str| json!({ "op": "literal", "value": value, "valueType": "long" });
    let all = read(&trainer, &["load", curated]).await;
    for (value, rows) in [(value("0"), all["rows"].clone()), (value("5000000"), json!([]))] {
        let hint = json!({ "op": "greaterThanOrEqual", "children": [&column, value] });
        let hinted = read(&trainer, &["load", curated, &format!("hints={hint}")]).await;
        assert_eq!(hinted["columns"], all["columns"]);
        assert_eq!(hinted["rows"], rows, "{hint}");
    }
    let denied = read(&trainer, &["refused", "stedi.trusted.accelerometer_trusted"]).await;
    assert_eq!(denied, 404);
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(python_readers), ignore = "delta-sharing is not installed; tests/run installs it")]
async fn it_travels_in_time_and_reads_changes() {
    let site = Site::new().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("profile");
    profile(&site, Role::Analyst, &file);
    let before = versions(&site.lake).await;
    let sql = |table: &str| match table {
        "customer_curated" => "SELECT subject_id, serialnumber FROM customer_curated".to_owned(),
        _ => format!("SELECT * FROM {table}"),
    };
    let tables = [DERIVED[1], DERIVED[2], DERIVED[4]];
    let mut old = Vec::new();
    for (_, table) in tables {
        old.push(site.lake.sorted(&sql(table)).await);
    }
    // Rows come, then rows go.
    let more = r#"{"user":"ada@example.com","timestamp":5000,"x":2,"y":2,"z":2}"#;
    site.lake.load("accelerometer_landing", more).await;
    let step = r#"{"sensorReadingTime":5000,"serialNumber":"d1","distanceFromObject":9}"#;
    site.lake.load("step_trainer_landing", step).await;
    site.lake.promote().await;
    site.lake.revoke(&[("r1", "dan@example.com", i64::MAX / 2)]).await;
    site.lake.promote().await;
    let mut changed = 0;
    for ((zone, table), old) in tables.into_iter().zip(old) {
        let name = format!("stedi.{zone}.{table}");
        let columns = match table {
            "customer_curated" => "columns=subject_id,serialnumber",
            _ => "columns=",
        };
        let version = format!("version={}", before[table]);
        let loaded = read(&file, &["load", &name, &version, columns]).await;
        assert_eq!(loaded["rows"], text(old), "{table}");
        // What was, with what changed since, is what is.
        let since = format!("since={}", before[table] + 1);
        let changes = read(&file, &["changes", &name, &version, &since, columns]).await;
        assert_eq!(changes["rows"], text(site.lake.sorted(&sql(table)).await), "{table}");
        changed += changes["changes"].as_u64().unwrap();
        assert!(super::PII.iter().all(|name| {
            !changes["columns"].as_array().unwrap().iter().any(|column| column == name)
        }));
    }
    assert!(changed >= 3, "{changed}");
}
