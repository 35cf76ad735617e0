//! Names of tables and columns.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use stedi_server::auth::Role;

use crate::support::{TABLES, TestLake, TestServer};

#[tokio::test(flavor = "multi_thread")]
async fn names_in_any_case_and_with_their_zone() {
    let lake = TestLake::filled().await;
    let server = TestServer::start(&lake.config).await;
    for from in [
        "machine_learning_curated",
        "Machine_Learning_Curated",
        "\"machine_learning_curated\"",
        "curated.machine_learning_curated",
        "CURATED.MACHINE_LEARNING_CURATED",
        "\"curated\".\"machine_learning_curated\"",
        "stedi.curated.machine_learning_curated",
    ] {
        let sql = format!("SELECT count(sensorReadingTime), COUNT(\"x\") FROM {from}");
        assert_eq!(server.rows(Role::Trainer, &sql).await, json!([[5, 5]]), "{from}");
    }
    for from in [
        "\"Machine_Learning_Curated\"",
        "trusted.machine_learning_curated",
        "other.machine_learning_curated",
        "other.curated.machine_learning_curated",
        "a.stedi.curated.machine_learning_curated",
        "nothing",
        "customer_landing",
        "landing.customer_landing",
        "step_trainer_trusted",
        "system.audit",
        "audit",
        "customer_landing_rejected",
    ] {
        let answer = server.sql(Role::Trainer, &format!("SELECT count(*) FROM {from}")).await;
        let (status, code) = answer.problem();
        assert!(
            (status, code.as_str()) == (404, "table_not_found")
                || (status, code.as_str()) == (422, "statement_invalid") && from.starts_with("a."),
            "{from}: {}",
            answer.text()
        );
    }
    let qualified = "SELECT curated.customer_curated.serialnumber, customer_curated.serialnumber AS s \
                     FROM curated.customer_curated ORDER BY 1 LIMIT 1";
    assert_eq!(server.rows(Role::Trainer, qualified).await, json!([["d1", "d1"]]));
    let answer = server.sql(Role::Trainer, "SELECT \"X\" FROM machine_learning_curated").await;
    assert_eq!(answer.problem(), (422, "statement_invalid".to_owned()));
    // The same hidden or missing column.
    for column in ["email", "nothing"] {
        let sql = format!("SELECT {column} FROM customer_curated");
        let answer = server.sql(Role::Trainer, &sql).await;
        assert_eq!(answer.problem(), (422, "statement_invalid".to_owned()));
        let detail = answer.detail().replace(column, "?");
        assert!(!detail.contains("customername") && !detail.contains('@'), "{detail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn user_and_timestamp_are_columns() {
    let lake = TestLake::filled().await;
    let server = TestServer::start(&lake.config).await;
    let expected = json!([["ada@example.com", 1000]]);
    for columns in
        ["user, timestamp", "USER, TimeStamp", "\"user\", \"timestamp\"", "a.user, a.timestamp"]
    {
        let sql = format!(
            "SELECT {columns} FROM accelerometer_landing a WHERE user IS NOT NULL AND timestamp > 0 \
             ORDER BY user, timestamp LIMIT 1"
        );
        assert_eq!(server.rows(Role::Admin, &sql).await, expected, "{columns}");
    }
    let sql = "SELECT min(timestamp) AS timestamp, count(DISTINCT timestamp) FROM \
               accelerometer_trusted GROUP BY timestamp > 0";
    assert_eq!(server.rows(Role::Analyst, sql).await[0][0], json!(1000));
    let cast = "SELECT CAST('2024-01-31' AS TIMESTAMP) < TIMESTAMP '2024-02-01 00:00:00'";
    assert_eq!(server.rows(Role::Analyst, cast).await, json!([[true]]));
}

fn names(rows: &Value) -> BTreeSet<String> {
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| row[0].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_information_schema_shows_what_the_role_sees() {
    let lake = TestLake::filled().await;
    let server = TestServer::start(&lake.config).await;
    let tables = "SELECT table_name FROM information_schema.tables \
                  WHERE table_schema <> 'information_schema'";
    let expected = |from: usize| TABLES[from..].iter().map(ToString::to_string).collect();
    let seen: BTreeSet<String> = names(&server.rows(Role::Analyst, tables).await);
    assert_eq!(seen, expected(3));
    let seen: BTreeSet<String> = names(&server.rows(Role::Trainer, tables).await);
    assert_eq!(seen, ["customer_curated", "machine_learning_curated"].map(str::to_owned).into());
    let all = names(&server.rows(Role::Admin, tables).await);
    assert!(all.is_superset(&expected(0)) && all.contains("audit"), "{all:?}");

    let columns = "SELECT DISTINCT column_name FROM information_schema.columns \
                   WHERE table_schema <> 'information_schema'";
    let seen = names(&server.rows(Role::Analyst, columns).await);
    assert!(seen.contains("subject_id") && seen.contains("timestamp"), "{seen:?}");
    for hidden in ["email", "customername", "phone", "birthday", "user"] {
        assert!(!seen.contains(hidden), "{hidden}");
    }
    let typed = "SELECT data_type, is_nullable FROM information_schema.columns \
                 WHERE table_name = 'customer_curated' AND column_name = 'serialnumber'";
    assert_eq!(server.rows(Role::Trainer, typed).await.as_array().unwrap().len(), 1);

    // How the server is set up is nobody's to know here.
    for role in [Role::Analyst, Role::Admin] {
        let answer = server.sql(role, "SELECT * FROM information_schema.df_settings").await;
        assert_eq!(answer.problem(), (404, "table_not_found".to_owned()));
    }
    for table in ["views", "schemata", "parameters", "routines", "tables", "columns"] {
        for name in [format!("information_schema.{table}"), format!("INFORMATION_SCHEMA.{table}")] {
            let answer = server.sql(Role::Analyst, &format!("SELECT * FROM {name}")).await;
            assert_eq!(answer.status, 200, "{name}: {}", answer.text());
            let root = lake.root().display().to_string();
            for hidden in ["_landing", "email", "system", &root] {
                let shown = answer.text().contains(hidden);
                // Functions of DataFusion are described in its own words.
                assert!(!shown || matches!(table, "routines" | "parameters"), "{name}: {hidden}");
            }
        }
    }
}

/// A scan of no columns is answered from the log.
#[tokio::test(flavor = "multi_thread")]
async fn limits_hold_for_scans_without_columns() {
    let lake = TestLake::filled().await;
    let server = TestServer::start(&lake.config).await;
    for (sql, rows) in [
        ("SELECT 1 FROM step_trainer_trusted LIMIT 1", 1),
        ("SELECT 1 FROM step_trainer_trusted LIMIT 2 OFFSET 1", 2),
        ("SELECT 1 FROM step_trainer_trusted LIMIT 5 OFFSET 4", 1),
        ("SELECT 1 FROM step_trainer_trusted OFFSET 3", 2),
        ("SELECT 1 FROM step_trainer_trusted LIMIT 0", 0),
        ("SELECT 1 FROM step_trainer_trusted UNION ALL SELECT 2 FROM customer_trusted LIMIT 7", 7),
        ("SELECT 1 FROM step_trainer_trusted a, customer_trusted b LIMIT 4 OFFSET 3", 4),
        ("SELECT n FROM (SELECT 1 AS n FROM step_trainer_trusted LIMIT 3) LIMIT 9", 3),
        ("SELECT serialnumber FROM step_trainer_trusted LIMIT 2 OFFSET 2", 2),
        ("SELECT serialnumber FROM step_trainer_trusted ORDER BY 1 LIMIT 2 OFFSET 4", 1),
    ] {
        let found = server.rows(Role::Analyst, sql).await;
        assert_eq!(found.as_array().unwrap().len(), rows, "{sql}");
    }
}
