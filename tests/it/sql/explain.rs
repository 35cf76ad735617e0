//! EXPLAIN: plans without files, paths and what is not there for the caller.

use stedi_server::auth::Role;

use crate::support::{TestLake, TestServer};

#[tokio::test(flavor = "multi_thread")]
async fn plans_show_no_files() {
    let lake = TestLake::filled().await;
    let server = TestServer::start(&lake.config).await;
    let select = "SELECT c.serialnumber, count(*) FROM customer_curated c \
                  JOIN machine_learning_curated VERSION AS OF 1 m ON m.subject_id = c.subject_id \
                  WHERE m.x > 0 GROUP BY 1 ORDER BY 2";
    let folder = lake.root().display().to_string();
    let state = lake.config.state_dir.display().to_string();
    let mut scans = 0;
    for explain in [
        "EXPLAIN",
        "explain verbose",
        "EXPLAIN ANALYZE",
        "EXPLAIN ANALYZE VERBOSE",
        "EXPLAIN FORMAT TREE",
        "EXPLAIN FORMAT INDENT",
        "EXPLAIN FORMAT PGJSON",
        "EXPLAIN FORMAT GRAPHVIZ",
        "EXPLAIN (ANALYZE, VERBOSE)",
    ] {
        for role in [Role::Trainer, Role::Admin] {
            let answer = server.sql(role, &format!("{explain} {select}")).await;
            assert_eq!(answer.status, 200, "{explain}: {}", answer.text());
            assert_eq!(answer.header("etag"), "", "a plan is no answer to keep");
            let text = answer.text();
            for hidden in [".parquet", "_delta_log", "part-", "file:", &folder, &state] {
                assert!(!text.contains(hidden), "{explain} shows {hidden}: {text}");
            }
            if role == Role::Trainer {
                assert!(!text.contains("email") && !text.contains("birthday"), "{text}");
            }
            // How many files there are depends on how many cores wrote them.
            let named = text.split("files=").skip(1);
            scans += named.filter(|rest| rest.starts_with(|c| ('1'..='9').contains(&c))).count();
        }
    }
    assert!(scans > 4, "no plan with files was looked at");
    // It really runs: rows that were read are counted.
    let answer = server.sql(Role::Trainer, &format!("EXPLAIN ANALYZE {select}")).await;
    assert!(answer.text().contains("output_rows="), "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_select_is_explained() {
    let lake = TestLake::new().await;
    let server = TestServer::start(&lake.config).await;
    for (sql, code) in [
        ("EXPLAIN DELETE FROM customer_curated", "not_a_select"),
        ("EXPLAIN EXPLAIN SELECT 1", "not_a_select"),
        ("EXPLAIN SELECT 1; SELECT 1", "several_statements"),
        ("EXPLAIN ANALYZE CREATE TABLE t AS SELECT 1", "not_a_select"),
        ("DESCRIBE customer_curated", "not_a_select"),
        ("SHOW TABLES", "not_a_select"),
    ] {
        let (status, found) = server.sql(Role::Admin, sql).await.problem();
        assert_eq!((status, found.as_str()), (422, code), "{sql}");
    }
    let answer = server.sql(Role::Trainer, "EXPLAIN SELECT * FROM customer_landing").await;
    assert_eq!(answer.problem(), (404, "table_not_found".to_owned()));
    let answer = server.sql(Role::Trainer, "EXPLAIN SELECT email FROM customer_curated").await;
    assert_eq!(answer.problem(), (422, "statement_invalid".to_owned()));
}
