//! Whose data counts (design: who is who). No consent, no row.

use crate::support::{TestLake, fixture};

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
    let ada = |updated: u32, consent: &str| {
        format!(
            r#"{{"email":"ada@example.com","serialNumber":"d1","lastUpdateDate":{updated},"shareWithResearchAsOfDate":{consent}}}"#
        )
    };
    let tables = [
        "customer_trusted",
        "accelerometer_trusted",
        "customer_curated",
        "step_trainer_trusted",
        "machine_learning_curated",
    ];
    lake.load("customer_landing", ada(500, "null")).await;
    lake.promote().await;
    assert_eq!(lake.counts(tables).await, [5, 3, 3, 2, 2]);

    lake.load("customer_landing", ada(600, "550")).await;
    lake.promote().await;
    assert_eq!(lake.counts(tables).await, [6, 7, 4, 5, 5]);
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
