//! What is seen before, and is not after.

use reqwest::Method;
use serde_json::{Value, json};
use stedi_server::auth::Role;
use stedi_server::landing::Revocation;
use stedi_server::ledger::Denied;

use super::ways::{OF_VERSIONS, WAYS};
use super::{DERIVED, Site, requests, without};
use crate::support::{TestServer, answered, author};

/// Status and rows, in an order of their own; of an error what it says.
async fn told(server: &TestServer, sql: &str) -> (u16, Vec<String>) {
    let answer = server.sql(Role::Admin, sql).await;
    let mut rows: Vec<String> = match answer.status {
        200 => answer.rows().as_array().unwrap().iter().map(Value::to_string).collect(),
        _ => vec![answer.detail()],
    };
    rows.sort();
    (answer.status, rows)
}

struct Asked {
    /// The statement, and what it gives where the rows are not there.
    sql: String,
    without: (u16, Vec<String>),
}

/// All ways for all tables and versions, each with what it gives without somebody's rows.
async fn asked(site: &Site, denied: &Denied) -> Vec<Asked> {
    let subject = denied.subjects.first().unwrap();
    let mut asked = Vec::new();
    for table in DERIVED {
        let newest = site.version(table).await;
        for (number, way) in WAYS.iter().enumerate() {
            let mut versions = vec![String::new()];
            if OF_VERSIONS.contains(&number) {
                versions.extend((1..=newest).map(|version| format!(" VERSION AS OF {version}")));
            }
            for version in versions {
                let over = |table: &str| way.replace("{t}", table).replace("{a}", subject);
                let sql = over(&format!("{table}{version}"));
                let others = over(&without(table, &version, denied));
                let without = told(&site.servers[0], &others).await;
                assert_eq!(without.0, 200, "{others}: {:?}", without.1);
                asked.push(Asked { sql, without });
            }
        }
    }
    asked
}

/// How many of the statements show that the rows are there.
async fn showing(server: &TestServer, asked: &[Asked]) -> Vec<String> {
    let mut showing = Vec::new();
    for Asked { sql, without } in asked {
        if told(server, sql).await != *without {
            showing.push(sql.clone());
        }
    }
    showing
}

#[tokio::test(flavor = "multi_thread")]
async fn no_way_of_asking_returns_what_is_denied() {
    let site = Site::new().await;
    let ada = site.denied("r1", &["ada"]).await;
    let asked = asked(&site, &ada).await;
    // Ada has no row of the device tables in which nobody is named, and not in every version.
    let before = showing(&site.servers[0], &asked).await;
    assert!(before.len() * 10 > asked.len() * 9, "{} of {}", before.len(), asked.len());
    for way in WAYS {
        let way = way.split("{t}").next().unwrap();
        let way = way.split("{a}").next().unwrap();
        assert!(before.iter().any(|sql| sql.starts_with(way)), "{way} shows nothing before");
    }
    site.deny("r1", &["ada"]).await;
    for server in &site.servers {
        assert_eq!(showing(server, &asked).await, Vec::<String>::new());
    }
}

/// Rows of a device that others claim too belong to the one who withdrew as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_shared_device_is_denied_with_one_of_its_claimants() {
    let site = Site::new().await;
    let fay = site.denied("r1", &["fay"]).await;
    assert_eq!(fay.devices.first().unwrap(), "d6");
    let d6 = "SELECT count(*) FROM machine_learning_curated WHERE serialnumber = 'd6'";
    assert_eq!(told(&site.servers[1], d6).await.1, ["[2]"]);
    let rest: Vec<String> =
        DERIVED.iter().map(|table| format!("SELECT * FROM {}", without(table, "", &fay))).collect();
    let mut expected = Vec::new();
    for sql in &rest {
        expected.push(told(&site.servers[0], sql).await);
    }
    site.deny("r1", &["fay"]).await;
    for server in &site.servers {
        assert_eq!(told(server, d6).await.1, ["[0]"]);
        for (table, expected) in DERIVED.iter().zip(&expected) {
            assert_eq!(told(server, &format!("SELECT * FROM {table}")).await, *expected, "{table}");
        }
    }
    // eve's own readings with the app are hers.
    let eve = "SELECT count(*) FROM accelerometer_trusted AS a JOIN customer_trusted AS c \
               ON c.subject_id = a.subject_id WHERE c.email = 'eve@example.com'";
    assert_eq!(told(&site.servers[0], eve).await.1, ["[2]"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_format_and_no_parameter_gives_a_value_of_theirs() {
    let site = Site::new().await;
    let subject = site.lake.subject("ada@example.com").await;
    let needles = [subject.as_str(), "ada@example.com", "1990-01-01"];
    let holds = |body: &[u8]| {
        needles.iter().any(|needle| body.windows(needle.len()).any(|it| it == needle.as_bytes()))
    };
    let formats = [
        "application/json",
        "application/x-ndjson",
        "text/csv",
        "application/vnd.apache.arrow.stream",
    ];
    let ask = async |server: &TestServer, accept: &str, role: Role| {
        let mut shown = 0;
        for table in DERIVED {
            let sql = format!("SELECT * FROM {table}");
            let answer = answered(server.statement(role, &sql).header("accept", accept)).await;
            shown += usize::from(answer.status == 200 && holds(&answer.body));
        }
        shown
    };
    for (role, tables) in [(Role::Admin, 5), (Role::Analyst, 5), (Role::Trainer, 2)] {
        assert_eq!(ask(&site.servers[1], formats[1], role).await, tables, "{role:?}");
    }
    let bound = "SELECT count(*) FROM accelerometer_trusted WHERE subject_id = $1";
    let count = async |server: &TestServer| {
        server.bound(Role::Analyst, bound, json!([subject])).await.rows()[0][0].as_i64().unwrap()
    };
    assert_eq!(count(&site.servers[1]).await, 5);
    site.deny("r1", &["ada"]).await;
    for server in &site.servers {
        assert_eq!(count(server).await, 0);
        for accept in formats {
            for role in [Role::Admin, Role::Analyst, Role::Trainer] {
                assert_eq!(ask(server, accept, role).await, 0, "{accept} {role:?}");
            }
        }
    }
}

/// Figures of a plan would tell of rows that were read and taken away.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_nothing_of_what_is_denied() {
    let site = Site::new().await;
    let ada = site.deny("r1", &["ada"]).await;
    let subject = ada.subjects.first().unwrap();
    for sql in [
        "EXPLAIN ANALYZE SELECT * FROM accelerometer_trusted WHERE subject_id = '{a}'",
        "EXPLAIN ANALYZE SELECT count(*) FROM accelerometer_trusted",
        "EXPLAIN ANALYZE SELECT * FROM accelerometer_trusted WHERE x > 0 LIMIT 1",
        "EXPLAIN SELECT * FROM accelerometer_trusted",
        "EXPLAIN VERBOSE SELECT * FROM accelerometer_trusted",
    ] {
        let answer = site.servers[0].sql(Role::Admin, &sql.replace("{a}", subject)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let text = answer.text();
        assert!(text.contains("ConsentingExec"), "{sql}: {text}");
        for hidden in ["DataSourceExec", "Parquet", "pruned", "files=", "numRecords", "num_rows"] {
            assert!(!text.contains(hidden), "{sql}: {hidden} in {text}");
        }
        assert!(sql.contains("{a}") || !text.contains(subject), "{sql}: {text}");
    }
    // A table without an entry is planned as ever.
    let landing = "EXPLAIN SELECT * FROM accelerometer_landing";
    assert!(!site.servers[0].sql(Role::Admin, landing).await.text().contains("ConsentingExec"));
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_version_without_them_on_nothing_is_hidden() {
    let site = Site::new().await;
    let ada = site.deny("r1", &["ada"]).await;
    let subject = ada.subjects.first().unwrap().clone();
    let before = site.versions().await;
    let revocation = Revocation { request: "r1".to_owned(), subject: subject.clone(), at: 2000 };
    site.lake.app.landing.revoke(&[revocation], &author()).await.unwrap();
    site.lake.promote().await;
    let gone = site.versions().await;
    assert!(DERIVED.iter().all(|table| gone[*table] > before[*table]));
    site.lake.app.deny.gone(&requests(["r1"]), &gone).await.unwrap();
    // They consent anew.
    let record = r#"{"email":"ada@example.com","serialNumber":"d1","lastUpdateDate":600,"shareWithResearchAsOfDate":9000}"#;
    site.lake.load("customer_landing", record).await;
    site.lake.promote().await;
    let rows = |table: &str, version: u64| {
        format!(
            "SELECT count(*) FROM {table} VERSION AS OF {version} WHERE subject_id = '{subject}'"
        )
    };
    for table in DERIVED {
        let server = &site.servers[1];
        let now = told(server, &rows(table, site.version(table).await)).await;
        assert_ne!(now.1, ["[0]"], "{table}");
        for version in 1..=gone[table] {
            assert_eq!(told(server, &rows(table, version)).await.1, ["[0]"], "{table} {version}");
        }
        // Not even looked for where they cannot be.
        let plan = |version: u64| format!("EXPLAIN SELECT * FROM {table} VERSION AS OF {version}");
        for (version, hides) in [(before[table], true), (gone[table], false)] {
            let text = server.sql(Role::Admin, &plan(version)).await.text().to_owned();
            assert_eq!(text.contains("ConsentingExec"), hides, "{table} {version}: {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_changes_with_what_is_denied() {
    let site = Site::new().await;
    let tag = async |server: &TestServer, sql: &str, known: Option<&str>| {
        let request = server.request(Method::POST, "/v1/sql", Some(&server.token(Role::Admin)));
        let request = request.header("content-type", "text/plain").body(sql.to_owned());
        let request = match known {
            Some(known) => request.header("if-none-match", known),
            None => request,
        };
        let answer = answered(request).await;
        (answer.status, answer.header("etag").to_owned())
    };
    let (trusted, landing) =
        ("SELECT * FROM customer_trusted", "SELECT * FROM customer_landing ORDER BY email");
    let server = &site.servers[1];
    let (_, of_trusted) = tag(server, trusted, None).await;
    let (_, of_landing) = tag(server, landing, None).await;
    assert_eq!(tag(server, trusted, Some(&of_trusted)).await.0, 304);
    site.deny("r1", &["ada"]).await;
    let (status, hidden) = tag(server, trusted, Some(&of_trusted)).await;
    assert!(status == 200 && hidden != of_trusted);
    assert_eq!(tag(server, trusted, Some(&hidden)).await.0, 304);
    assert_eq!(tag(server, landing, Some(&of_landing)).await.0, 304);
    site.deny("r2", &["dan"]).await;
    assert_eq!(tag(server, trusted, Some(&hidden)).await.0, 200);
}

/// A recursive statement reads its tables in every round.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_is_read_as_often_as_it_is_asked_for() {
    let site = Site::new().await;
    site.deny("r1", &["ada"]).await;
    let rounds = "WITH RECURSIVE rounds AS (SELECT 1 AS n, 0 AS c UNION ALL \
                  SELECT n + 1, t.c FROM rounds CROSS JOIN \
                  (SELECT count(*) AS c FROM customer_trusted) AS t WHERE n < 4) \
                  SELECT count(*), count(DISTINCT c) FROM rounds WHERE n > 1";
    assert_eq!(told(&site.servers[0], rounds).await, (200, vec!["[3,1]".to_owned()]));
}
