//! Whose data counts (design: who is who). No consent, no row.

use std::sync::Arc;

use stedi_server::app::App;
use stedi_server::auth::Role;
use stedi_server::config::PipelineConfig;
use stedi_server::landing::Revocation;

use crate::support::{TestLake, TestServer, author, fixture};

/// Every derived table, in the order of the counts below.
const DERIVED: [&str; 5] = [
    "customer_trusted",
    "accelerometer_trusted",
    "customer_curated",
    "step_trainer_trusted",
    "machine_learning_curated",
];

/// A record of ada's with a date, and a consent.
fn ada(updated: u32, consent: &str) -> String {
    format!(
        r#"{{"email":"ada@example.com","serialNumber":"d1","lastUpdateDate":{updated},"shareWithResearchAsOfDate":{consent}}}"#
    )
}

async fn promoted_fixture() -> TestLake {
    let lake = TestLake::new().await;
    lake.load_folder(&fixture()).await;
    lake.promote().await;
    lake
}

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_record_decides() {
    let lake = promoted_fixture().await;
    let emails = lake.select("SELECT email FROM customer_trusted ORDER BY email").await;
    let emails: Vec<&str> = emails.iter().map(|row| row[0].split('@').next().unwrap()).collect();
    assert_eq!(emails, ["ada", "dan", "eve", "fay", "gus", "hal"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_takes_every_reading_along_and_a_new_consent_brings_them_back() {
    let lake = promoted_fixture().await;
    lake.load("customer_landing", ada(500, "null")).await;
    lake.promote().await;
    assert_eq!(lake.counts(DERIVED).await, [5, 3, 3, 2, 2]);

    lake.load("customer_landing", ada(600, "550")).await;
    lake.promote().await;
    assert_eq!(lake.counts(DERIVED).await, [6, 7, 4, 5, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_record_that_arrives_late_changes_nothing() {
    let lake = promoted_fixture().await;
    lake.load("customer_landing", r#"{"email":"ada@example.com","lastUpdateDate":99}"#).await;
    lake.promote().await;
    assert_eq!(lake.count("customer_trusted").await, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_records_of_one_moment_the_one_that_arrived_last_counts() {
    let lake = TestLake::new().await;
    let record = |share: &str| {
        format!(r#"{{"email":"a@b","lastUpdateDate":100,"shareWithResearchAsOfDate":{share}}}"#)
    };
    // In one load by position, in two by load.
    lake.load("customer_landing", record("100") + &record("0")).await;
    lake.promote().await;
    assert_eq!(lake.count("customer_trusted").await, 0);
    lake.load("customer_landing", record("100")).await;
    lake.promote().await;
    assert_eq!(lake.count("customer_trusted").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_of_somebody_who_refuses_is_nobodys() {
    let lake = promoted_fixture().await;
    let d2 = lake.select("SELECT * FROM step_trainer_trusted WHERE serialnumber = 'd2'").await;
    assert_eq!(d2, Vec::<Vec<String>>::new());
    // hal's own accelerometer readings are his all the same.
    let hal = "SELECT count(*) FROM accelerometer_trusted AS a JOIN customer_trusted AS c \
               ON a.subject_id = c.subject_id WHERE c.email = 'hal@example.com'";
    assert_eq!(lake.select(hal).await, [["1"]]);
    // Once ben consents too, the device counts.
    let ben = r#"{"email":"ben@example.com","serialNumber":"d2","lastUpdateDate":500,"shareWithResearchAsOfDate":500}"#;
    lake.load("customer_landing", ben).await;
    lake.promote().await;
    let d2 =
        lake.select("SELECT subject_id FROM step_trainer_trusted WHERE serialnumber = 'd2'").await;
    assert_eq!(d2, [["NULL"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_was_ever_made_counts() {
    let lake = promoted_fixture().await;
    // ben, who refuses, once had ada's device: an old record of his says so.
    let ben = r#"{"email":"ben@example.com","serialNumber":"d1","lastUpdateDate":50}"#;
    lake.load("customer_landing", ben).await;
    lake.promote().await;
    let d1 = "SELECT count(*) FROM step_trainer_trusted WHERE serialnumber = 'd1'";
    assert_eq!(lake.select(d1).await, [["0"]]);
    // And ada's reading that names only the device is nobody's now.
    let by_device = "SELECT count(*) FROM accelerometer_trusted WHERE timestamp = 3000";
    assert_eq!(lake.select(by_device).await, [["0"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn readings_by_user_and_by_device_of_one_customer_have_one_subject() {
    let lake = promoted_fixture().await;
    let ada = lake
        .select(
            "SELECT DISTINCT subject_id, serialnumber FROM accelerometer_trusted \
             WHERE serialnumber = 'd1'",
        )
        .await;
    assert_eq!(ada.len(), 1);
    assert_eq!(ada[0][0].len(), 32);
    let rows = "SELECT timestamp, x FROM accelerometer_trusted WHERE serialnumber = 'd1' \
                ORDER BY timestamp, x";
    let expected = [["1000", "-1.0"], ["1000", "1.0"], ["2000", "1.0"], ["3000", "1.0"]];
    assert_eq!(lake.select(rows).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_of_readings_is_of_one_customer() {
    let lake = promoted_fixture().await;
    // At 1000 ada, dan and eve all have readings of both kinds.
    let rows = "SELECT c.email, m.serialnumber, count(*) FROM machine_learning_curated AS m \
                JOIN customer_trusted AS c ON c.subject_id = m.subject_id \
                WHERE m.sensorreadingtime = 1000 GROUP BY 1, 2 ORDER BY 1, 2";
    let expected = [
        ["ada@example.com", "d1", "2"],
        ["dan@example.com", "d4", "1"],
        ["eve@example.com", "d6", "1"],
    ];
    assert_eq!(lake.select(rows).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_takes_every_reading_along_and_only_a_later_consent_brings_them_back() {
    let lake = promoted_fixture().await;
    lake.revoke(&[("r1", "ada@example.com", 2000)]).await;
    let modes = lake.promote().await;
    assert!(DERIVED.iter().all(|table| modes[*table] == "subjects"), "{modes:?}");
    assert_eq!(lake.counts(DERIVED).await, [5, 3, 3, 2, 2]);
    // Landing keeps what was received.
    assert_eq!(lake.count("customer_landing").await, 10);
    let ada_is_gone = lake.subject("ada@example.com").await;
    for table in DERIVED {
        let rows = format!("SELECT count(*) FROM {table} WHERE subject_id = '{ada_is_gone}'");
        assert_eq!(lake.select(&rows).await, [["0"]], "{table}");
    }

    for (updated, consent, counts) in [
        // A profile update that repeats the old date, and one that is dated before the revocation.
        (500, "1500", [5, 3, 3, 2, 2]),
        (600, "2000", [5, 3, 3, 2, 2]),
        (700, "2001", [6, 7, 4, 5, 5]),
    ] {
        lake.load("customer_landing", ada(updated, consent)).await;
        lake.promote().await;
        assert_eq!(lake.counts(DERIVED).await, counts, "{consent}");
    }
    lake.revoke(&[("r2", "ada@example.com", 3000)]).await;
    lake.promote().await;
    assert_eq!(lake.counts(DERIVED).await, [5, 3, 3, 2, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_that_is_dated_in_the_future_is_revoked_too() {
    let lake = promoted_fixture().await;
    lake.load("customer_landing", ada(500, "9000")).await;
    lake.revoke(&[("r1", "ada@example.com", 2000)]).await;
    lake.promote().await;
    assert_eq!(lake.count("customer_trusted").await, 5);
    for (updated, consent, customers) in [(600, "9000", 5), (700, "9001", 6)] {
        lake.load("customer_landing", ada(updated, consent)).await;
        lake.promote().await;
        assert_eq!(lake.count("customer_trusted").await, customers, "{consent}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_co_claimant_takes_the_device_along() {
    let lake = promoted_fixture().await;
    let d6 = "SELECT count(*) FROM step_trainer_trusted WHERE serialnumber = 'd6'";
    assert_eq!(lake.select(d6).await, [["1"]]);
    lake.revoke(&[("r1", "fay@example.com", 2000)]).await;
    lake.promote().await;
    assert_eq!(lake.select(d6).await, [["0"]]);
    // eve's own readings stay hers.
    assert_eq!(lake.counts(DERIVED).await, [5, 7, 4, 4, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_revokes_once_whoever_repeats_it() {
    let lake = promoted_fixture().await;
    let other = App::open(&lake.config).await.unwrap();
    let (one, other) = (Arc::clone(&lake.app.landing), other.landing);
    let subject = lake.subject("ada@example.com").await;
    let batch = |from: usize| -> Vec<Revocation> {
        let request = |number: usize| format!("r{number}");
        let revoke =
            |number| Revocation { request: request(number), subject: subject.clone(), at: 2000 };
        // The batches overlap, and one names a request twice.
        (from..from + 4).chain([from]).map(revoke).collect()
    };
    let tasks = (0..8).map(|at| {
        let (landing, batch) = (Arc::clone(if at % 2 == 0 { &one } else { &other }), batch(at % 3));
        tokio::spawn(async move { landing.revoke(&batch, &author()).await.unwrap() })
    });
    futures::future::try_join_all(tasks.collect::<Vec<_>>()).await.unwrap();
    let rows = "SELECT request FROM customer_revocation ORDER BY request";
    assert_eq!(lake.select(rows).await, [["r0"], ["r1"], ["r2"], ["r3"], ["r4"], ["r5"]]);
    let (version, again) =
        (lake.revoke(&[]).await, one.revoke(&batch(1), &author()).await.unwrap());
    assert_eq!(version, again);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_loaded_into_the_table_of_revocations() {
    let lake = promoted_fixture().await;
    let server = TestServer::start(&lake.config).await;
    let body = r#"{"subject_id":"a","revokedat":1,"email":"a@b"}"#;
    for path in ["/v1/landing/customer_revocation", "/v1/landing/customer_revocation/imports"] {
        let request = server.request(reqwest::Method::POST, path, Some(&server.token(Role::Admin)));
        let body = if path.ends_with("imports") { r#"{"source":"x"}"# } else { body };
        let answer = request.header("content-type", "application/json").body(body).send().await;
        let answer = answer.unwrap();
        assert_eq!(answer.status(), 404);
        let text = answer.text().await.unwrap();
        assert!(text.contains("the server keeps revocations there"), "{text}");
    }
    assert_eq!(lake.count("customer_revocation").await, 0);
}

/// A lake from before there were revocations.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_lake_gets_the_table_and_is_made_anew_once() {
    let folder = tempfile::tempdir().unwrap();
    let built_in = concat!(env!("CARGO_MANIFEST_DIR"), "/../server/pipelines/stedi");
    for file in std::fs::read_dir(built_in).unwrap() {
        let file = file.unwrap();
        let text = std::fs::read_to_string(file.path()).unwrap();
        let text = match file.file_name().to_str().unwrap() {
            "pipeline.toml" => {
                let (head, rest) = text.split_once("[consent]").unwrap();
                let (_, rest) = rest.split_once("# What `stedi-server demo`").unwrap();
                format!("{head}{}", rest.split_once('\n').unwrap().1)
                    .replace(", \"customer_revocation\"", "")
            }
            "customer_trusted.sql" => {
                let columns = text.split_once("SELECT\n  customer").unwrap().1;
                let (columns, _) = columns.split_once("FROM ranked").unwrap();
                let (ranked, _) = text.split_once(",\nrevoked AS").unwrap();
                format!(
                    "{ranked}\nSELECT\n  customer{columns}FROM ranked AS customer \
                     WHERE age = 1 AND sharewithresearchasofdate IS NOT NULL"
                )
            }
            _ => text,
        };
        std::fs::write(folder.path().join(file.file_name()), text).unwrap();
    }
    let dir = Some(folder.path().to_owned());
    let old = PipelineConfig { dir, ..PipelineConfig::default() };
    let mut lake = TestLake::with(old).await.unwrap();
    assert!(!lake.root().join("landing/customer_revocation").exists());
    lake.load_folder(&fixture()).await;
    lake.promote().await;
    let revoked = lake.app.landing.revoke(&[], &author()).await.unwrap_err();
    assert!(revoked.to_string().contains("no revocations"), "{revoked}");

    lake.config.pipeline = PipelineConfig::default();
    lake.app = App::open(&lake.config).await.unwrap();
    assert_eq!(lake.counts(DERIVED).await, [6, 7, 4, 5, 5]);
    let modes = lake.promote().await;
    assert_eq!(modes["customer_trusted"], "rebuild");
    assert_eq!(lake.counts(DERIVED).await, [6, 7, 4, 5, 5]);
    assert!(lake.promote().await.values().all(|mode| *mode == "nothing"));
    lake.revoke(&[("r1", "ada@example.com", 2000)]).await;
    assert_eq!(lake.promote().await["customer_trusted"], "subjects");
    assert_eq!(lake.counts(DERIVED).await, [5, 3, 3, 2, 2]);
}
