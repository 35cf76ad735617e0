//! Every reason for which a record is rejected, and that nothing around it is lost.

use crate::support::TestLake;

/// A year in the future.
fn far() -> u128 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    now.as_millis() + 365 * 86_400_000
}

#[tokio::test(flavor = "multi_thread")]
async fn reasons() {
    let future = format!(r#"{{"email":"a@b","registrationDate":1,"lastUpdateDate":{}}}"#, far());
    let customer = [
        (r#"{"lastUpdateDate":1}"#, "email: missing"),
        (r#"{"email":" ","lastUpdateDate":1}"#, "email: missing"),
        (r#"{"email":null,"lastUpdateDate":1}"#, "email: missing"),
        (r#"{"email":5,"lastUpdateDate":1}"#, "email: expected a string, got a number"),
        (r#"{"email":"a@b"}"#, "lastupdatedate or registrationdate: missing"),
        (r#"{"email":"a@b","lastUpdateDate":0}"#, "lastupdatedate or registrationdate: missing"),
        (
            r#"{"email":"a@b","registrationDate":1,"lastUpdateDate":"x"}"#,
            "lastupdatedate: expected whole milliseconds between 1 and 253402300799999, got a string that is not digits",
        ),
        (
            r#"{"email":"a@b","lastUpdateDate":1,"shareWithResearchAsOfDate":5,"share_with_research_as_of_date":"no"}"#,
            "sharewithresearchasofdate: given twice",
        ),
        (
            r#"{"email":"a@b","lastUpdateDate":1,"shareWithResearchAsOfDate":"no","share_with_research_as_of_date":5}"#,
            "sharewithresearchasofdate: given twice",
        ),
        (
            r#"{"email":"a@b","lastUpdateDate":NaN,"l":[{"email":"x@y","lastUpdateDate":1},{"email":"z@y","lastUpdateDate":1}]}"#,
            "not valid JSON: expected value at byte 33 of the record",
        ),
        (future.as_str(), "lastupdatedate: in the future"),
        (
            r#"{"email":"a@b","lastUpdateDate":1,"serialNumber":7}"#,
            "serialnumber: expected a string, got a number",
        ),
        (
            r#"{"email":"a@b","lastUpdateDate":1,"phone":[1]}"#,
            "phone: expected a string, got an array or object",
        ),
        (r#"{"email":"a@b","EMAIL":"c@d","lastUpdateDate":1}"#, "email: given twice"),
    ];
    let accelerometer = [
        (r#"{"timestamp":1,"x":1,"y":1,"z":1}"#, "user or serialnumber: missing"),
        (
            r#"{"user":"","serialNumber":null,"timestamp":1,"x":1,"y":1,"z":1}"#,
            "user or serialnumber: missing",
        ),
        (r#"{"user":"a@b","x":1,"y":1,"z":1}"#, "timestamp: missing"),
        (
            r#"{"user":"a@b","timestamp":-1,"x":1,"y":1,"z":1}"#,
            "timestamp: expected whole milliseconds between 1 and 253402300799999",
        ),
        (
            r#"{"user":"a@b","timestamp":1.5,"x":1,"y":1,"z":1}"#,
            "timestamp: expected whole milliseconds between 1 and 253402300799999",
        ),
        (
            r#"{"user":"a@b","timestamp":253402300800000,"x":1,"y":1,"z":1}"#,
            "timestamp: expected whole milliseconds between 1 and 253402300799999",
        ),
        (
            r#"{"user":"a@b","timestamp":"soon","x":1,"y":1,"z":1}"#,
            "timestamp: expected whole milliseconds between 1 and 253402300799999, got a string that is not digits",
        ),
        (r#"{"user":"a@b","timestamp":1,"y":1,"z":1}"#, "x: missing"),
        (r#"{"user":"a@b","timestamp":1,"x":null,"y":1,"z":1}"#, "x: missing"),
        (
            r#"{"user":"a@b","timestamp":1,"x":1,"y":"1","z":1}"#,
            "y: expected a finite number, got a string",
        ),
        (
            r#"{"user":"a@b","timestamp":1,"x":1,"y":1,"z":true}"#,
            "z: expected a finite number, got a boolean",
        ),
        (
            r#"{"user":"a@b","timestamp":1,"x":1,"y":1,"z":1e999}"#,
            "not valid JSON: number out of range at byte 49 of the record",
        ),
        (
            r#"{"user":"a@b","timestamp":1,"x":1,"y":1,"z":NaN}"#,
            "not valid JSON: expected value at byte 45 of the record",
        ),
    ];
    let step_trainer = [
        (r#"{"serialNumber":"d","distanceFromObject":1}"#, "sensorreadingtime: missing"),
        (r#"{"sensorReadingTime":1,"distanceFromObject":1}"#, "serialnumber: missing"),
        (r#"{"sensorReadingTime":1,"serialNumber":"d"}"#, "distancefromobject: missing"),
        (
            r#"{"sensorReadingTime":1,"serialNumber":"d","distanceFromObject":"far"}"#,
            "distancefromobject: expected a finite number, got a string",
        ),
        ("hello", "not a JSON object"),
        (r#"{"sensorReadingTime":1,"#, "cut off: the input ends inside this record"),
    ];
    let good = [
        ("customer_landing", r#"{"email":"ok@b","lastUpdateDate":1}"#, &customer[..]),
        (
            "accelerometer_landing",
            r#"{"user":"ok@b","timestamp":1,"x":1,"y":1,"z":1}"#,
            &accelerometer,
        ),
        (
            "step_trainer_landing",
            r#"{"sensorReadingTime":1,"serialNumber":"ok","distanceFromObject":1}"#,
            &step_trainer,
        ),
    ];
    let lake = TestLake::new().await;
    for (table, ok, cases) in good {
        // One file: good records around each bad one.
        let bad: Vec<&str> = cases.iter().map(|(record, _)| *record).collect();
        let text = format!("{ok}\n{}", bad.join(&format!("\n{ok}\n")));
        let result = lake.load(table, text).await;
        let reasons: Vec<(u64, &str)> =
            result.rejects.iter().map(|reject| (reject.line, reject.reason.as_str())).collect();
        let expected: Vec<(u64, &str)> = cases
            .iter()
            .enumerate()
            .map(|(at, (_, reason))| (2 * at as u64 + 2, *reason))
            .collect();
        assert_eq!(reasons, expected);
        assert_eq!(result.accepted, cases.len() as u64);
        // The table of rejects holds file, line, reason and the raw text.
        let rows = lake
            .select(&format!("SELECT file, line, reason, raw FROM {table}_rejected ORDER BY line"))
            .await;
        let kept: Vec<_> = cases
            .iter()
            .zip(expected)
            .map(|((raw, reason), (line, _))| {
                vec![
                    "test.json".to_owned(),
                    line.to_string(),
                    (*reason).to_owned(),
                    (*raw).to_owned(),
                ]
            })
            .collect();
        assert_eq!(rows, kept);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reject_knows_its_subject_where_the_e_mail_can_be_read() {
    let lake = TestLake::new().await;
    let text = "{\"email\":\"a@b\",\"lastUpdateDate\":1}\n{\"email\":\"A@b\"}\n{\"email\":7}";
    lake.load("customer_landing", text).await;
    let known = "SELECT count(*) FROM customer_landing AS c JOIN customer_landing_rejected AS r \
                 ON c.subject_id = r.subject_id";
    assert_eq!(lake.select(known).await, [["1"]]);
    let unknown = "SELECT count(*) FROM customer_landing_rejected WHERE subject_id IS NULL";
    assert_eq!(lake.select(unknown).await, [["1"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_too_long_is_rejected_and_the_next_ones_loaded() {
    let lake = TestLake::new().await;
    let ok = r#"{"email":"ok@b","lastUpdateDate":1}"#;
    let long = format!(r#"{{"email":"{}@b","lastUpdateDate":1}}"#, "a}{".repeat(1_000_000));
    for separator in ["\n", ""] {
        let text = [ok, &long, ok, "{}"].join(separator);
        let result = lake.load("customer_landing", text).await;
        assert_eq!((result.accepted, result.rejected), (2, 2), "{:?}", result.rejects);
        assert_eq!(result.rejects[0].reason, "longer than 1048576 bytes");
    }
    let raw = "SELECT max(length(raw)) FROM customer_landing_rejected";
    assert_eq!(lake.select(raw).await, [["1048576"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_first_hundred_rejects_are_listed_and_all_are_kept() {
    let lake = TestLake::new().await;
    let result = lake.load("customer_landing", "{}\n".repeat(2500)).await;
    assert_eq!((result.rejected, result.rejects.len()), (2500, 100));
    assert_eq!(lake.count("customer_landing_rejected").await, 2500);
}
