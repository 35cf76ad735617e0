//! Who was erased is gone from landing and does not come back.

mod overtaken;
mod ring;

use serde_json::{Value, json};
use stedi_openapi::LoadResult;
use stedi_server::app::App;
use stedi_server::auth::Role;

use crate::support::{Serving, TestLake, replay};

/// A customer's record.
fn customer(email: &str, device: &str, consents: bool) -> String {
    let consent = if consents { r#","shareWithResearchAsOfDate":1"# } else { "" };
    format!(r#"{{"email":"{email}","serialNumber":"{device}","lastUpdateDate":5{consent}}}"#) + "\n"
}

/// A reading of the app, by whom and of which device; the empty text is nobody and none.
fn movement(email: &str, device: &str, time: i64) -> String {
    let field = |name: &str, text: &str| match text.is_empty() {
        true => String::new(),
        false => format!(r#""{name}":"{text}","#),
    };
    let (user, device) = (field("user", email), field("serialNumber", device));
    format!(r#"{{{user}{device}"timestamp":{time},"x":1,"y":1,"z":1}}"#) + "\n"
}

/// A reading of the sensor.
fn step(device: &str, time: i64) -> String {
    let reading = r#""distanceFromObject":1"#;
    format!(r#"{{"sensorReadingTime":{time},"serialNumber":"{device}",{reading}}}"#) + "\n"
}

/// What became of a load's records: accepted, rejected, duplicate, suppressed.
fn counts(result: &LoadResult) -> [u64; 4] {
    [result.accepted, result.rejected, result.duplicate, result.suppressed]
}

const CUSTOMERS: &str = "customer_landing";
const MOVEMENTS: &str = "accelerometer_landing";
const STEPS: &str = "step_trainer_landing";

/// Ada and Bob share d1, Ada has d2 for herself; both consent and have readings of both kinds.
async fn shared() -> TestLake {
    let lake = TestLake::new().await;
    let customers = customer("ada@x.c", "d1", true) + &customer("ada@x.c", "d2", true);
    lake.load(CUSTOMERS, customers + &customer("bob@x.c", "d1", true)).await;
    let movements = movement("ada@x.c", "", 10) + &movement("bob@x.c", "d1", 10);
    lake.load(MOVEMENTS, movements + &movement("", "d2", 20)).await;
    lake.load(STEPS, step("d1", 10) + &step("d1", 60) + &step("d2", 20)).await;
    lake.promote().await;
    lake
}

/// Nothing in the newest versions names Ada.
async fn ada_is_gone(lake: &TestLake) {
    for table in lake.app.pipeline.tables().into_iter().map(|table| table.name) {
        let rows = format!("{:?}", lake.select(&format!("SELECT * FROM {table}")).await);
        assert!(!rows.to_lowercase().contains("ada@x.c"), "{table}: {rows}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn is_gone_and_stays_out() {
    let lake = shared().await;
    lake.revoke(&[("r1", "ada@x.c", 3)]).await;
    let before = lake.app.lake.current("landing", CUSTOMERS).await.unwrap().unwrap().version();
    let done = lake.erase(("e1", "ada@x.c", 50), &["d1", "d2"]).await;
    let of = |name: &str| done.iter().find(|done| done.table == name).unwrap();
    let rows = |name| (of(name).rows_before, of(name).rows_after, of(name).files_rewritten);
    assert_eq!(rows(CUSTOMERS), (3, 1, 1));
    assert_eq!(rows(MOVEMENTS), (3, 1, 1));
    assert_eq!(rows(STEPS), (3, 1, 1));
    assert_eq!(rows("customer_revocation"), (1, 0, 1));
    assert_eq!(rows("customer_landing_rejected"), (0, 0, 0));
    assert_eq!(done.len(), 7);
    assert_eq!(of(CUSTOMERS).version_before, before);
    // The fence, then the rows.
    assert_eq!(of(CUSTOMERS).version_after, before + 2);
    let modes = lake.promote().await;
    assert!(!modes.values().any(|mode| *mode == "rebuild"), "{modes:?}");
    lake.is_derived().await;
    ada_is_gone(&lake).await;
    // What names Bob stays; of the device what was measured afterwards is his.
    assert_eq!(lake.sorted("SELECT email FROM customer_trusted").await, [["bob@x.c"]]);
    assert_eq!(lake.sorted("SELECT \"timestamp\" FROM accelerometer_trusted").await, [["10"]]);
    let steps = "SELECT sensorreadingtime FROM step_trainer_trusted";
    assert_eq!(lake.sorted(steps).await, [["60"]]);

    // The same once more finds nothing, and commits nothing.
    let again = lake.erase(("e1", "ada@x.c", 50), &["d1", "d2"]).await;
    for (first, again) in done.iter().zip(&again) {
        assert_eq!(again.version_before, again.version_after, "{again:?}");
        assert_eq!((again.rows_before, again.files_rewritten), (first.rows_after, 0), "{again:?}");
    }

    // The very same content is a duplicate, as before.
    let customers = customer("ada@x.c", "d1", true) + &customer("ada@x.c", "d2", true);
    let customers = customers + &customer("bob@x.c", "d1", true);
    assert_eq!(counts(&lake.load(CUSTOMERS, customers.clone()).await), [0, 0, 3, 0]);
    // Another with the same records, late ones, and others in other spelling.
    assert_eq!(counts(&lake.load(CUSTOMERS, customers + "\n").await), [1, 0, 0, 2]);
    let late = movement(" ADA@x.c ", "d9", 99) + &movement("bob@x.c", "d2", 20);
    let late = late + &movement("", "d2", 50) + &movement("", "d2", 51) + &movement("", "d3", 1);
    assert_eq!(counts(&lake.load(MOVEMENTS, late).await), [3, 0, 0, 2]);
    let late = step("d1", 50) + &step("d2", 51) + &step("d3", 50);
    assert_eq!(counts(&lake.load(STEPS, late).await), [2, 0, 0, 1]);
    // Another e-mail is not suppressed.
    assert_eq!(counts(&lake.load(CUSTOMERS, customer("ada@x.cc", "d2", true)).await), [1, 0, 0, 0]);
    lake.promote().await;
    lake.is_derived().await;
    let text = format!("{:?}", lake.select("SELECT email FROM customer_landing").await);
    assert!(!text.contains("ada@x.c\""), "{text}");
    // Other servers, and those that start later, know it too.
    let other = App::open(&lake.config).await.unwrap();
    assert!(other.suppression.newest().await.unwrap().email("ada@x.c"));
    // The lake knows it from hashes only.
    let object = lake.root().join("system/suppression/00000000000000000001.json");
    let text = std::fs::read_to_string(object).unwrap();
    assert!(!text.contains("ada@") && !text.contains("\"d1\"") && text.contains("e1"), "{text}");
}

/// The log after an erasure, read by a program that shares no code with the server: the rows that went are
/// the ones that the change feed says, and no others came or went.
#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(python_readers), ignore = "pyarrow is not installed; tests/run installs it")]
async fn the_log_of_an_erasure_replayed() {
    let lake = shared().await;
    lake.erase(("e1", "ada@x.c", 50), &["d1", "d2"]).await;
    lake.promote().await;
    let root = lake.root();
    let tables = [CUSTOMERS, MOVEMENTS, STEPS].map(|table| format!("landing/{table}"));
    let names = [tables[0].as_str(), tables[1].as_str(), tables[2].as_str()];
    for (table, found) in replay(root.to_str().unwrap(), &names, &[]) {
        assert_eq!((found.rows, found.inserted, found.deleted), (1, 3, 2), "{table}");
    }
}

/// One who refused shares a device with one who consents. Nothing of what the device measured before
/// comes out by the erasure of the one who refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_outlives_the_one_who_refused() {
    let lake = TestLake::new().await;
    let customers = customer("ada@x.c", "d1", false) + &customer("bob@x.c", "d1", true);
    lake.load(CUSTOMERS, customers).await;
    lake.load(MOVEMENTS, movement("bob@x.c", "", 10) + &movement("", "d1", 10)).await;
    lake.load(STEPS, step("d1", 10) + &step("d1", 70)).await;
    lake.promote().await;
    let steps = "SELECT sensorreadingtime FROM step_trainer_trusted";
    assert!(lake.select(steps).await.is_empty());
    lake.erase(("e1", "ada@x.c", 50), &["d1"]).await;
    lake.promote().await;
    lake.is_derived().await;
    assert_eq!(lake.sorted(steps).await, [["70"]]);
    assert_eq!(lake.count("accelerometer_trusted").await, 1);
    // Nor by what arrives late.
    assert_eq!(counts(&lake.load(STEPS, step("d1", 49) + &step("d1", 71)).await), [1, 0, 0, 1]);
    assert_eq!(counts(&lake.load(MOVEMENTS, movement("", "d1", 49)).await), [0, 0, 0, 1]);
    // Who claims it and refuses still counts.
    lake.load(CUSTOMERS, customer("eve@x.c", "d1", false)).await;
    lake.promote().await;
    lake.is_derived().await;
    assert!(lake.select(steps).await.is_empty());
}

/// Records that cannot be used: those in the lake go, those that arrive are not kept.
#[tokio::test(flavor = "multi_thread")]
async fn rejected_records_are_kept_out_too() {
    let lake = TestLake::new().await;
    lake.load(CUSTOMERS, customer("ada@x.c", "d2", true) + &customer("bob@x.c", "d1", true)).await;
    let theirs = [
        // Whose it is can be read, but not the rest.
        r#"{"user":"Ada@x.c","x":1,"y":1,"z":1}"#.to_owned(),
        // Not JSON at all.
        r#"{"user":"ada@x.c","timestamp":1,"x":}"#.to_owned(),
        "<reading user=ada@x.c/>".to_owned(),
        // Named where nobody is expected.
        r#"{"user":7,"contact":"mail ADA@X.C.","timestamp":1,"x":1,"y":1,"z":1}"#.to_owned(),
        r#"{"user":"bob@x.c","user":"ada@x.c","timestamp":1,"x":1,"y":1,"z":1}"#.to_owned(),
        // Only the device is named: by its moment, or whenever it may be.
        r#"{"serialNumber":"d2","timestamp":50,"x":"?","y":1,"z":1}"#.to_owned(),
        r#"{"serialNumber":"d2","x":1,"y":1,"z":1}"#.to_owned(),
    ];
    let others = [
        r#"{"user":"bob@x.c","x":1,"y":1,"z":1}"#.to_owned(),
        r#"{"user":"bob@x.c","serialNumber":"d2","x":1,"y":1,"z":1}"#.to_owned(),
        r#"{"user":"ad@x.c","x":1,"y":1,"z":1}"#.to_owned(),
        r#"{"serialNumber":"d2","timestamp":51,"x":"?","y":1,"z":1}"#.to_owned(),
        r#"{"serialNumber":"d1","x":1,"y":1,"z":1}"#.to_owned(),
    ];
    let text = theirs.join("\n") + "\n" + &others.join("\n");
    let first = lake.load(MOVEMENTS, text.clone()).await;
    assert_eq!(counts(&first)[0], 0);
    let done = lake.erase(("e1", "ada@x.c", 50), &["d2"]).await;
    let rejected = done.iter().find(|done| done.table == "accelerometer_landing_rejected").unwrap();
    let left = || lake.sorted("SELECT raw FROM accelerometer_landing_rejected");
    let mut expected: Vec<Vec<String>> = others.iter().map(|text| vec![text.clone()]).collect();
    expected.sort();
    assert_eq!(left().await, expected);
    assert_eq!(rejected.rows_before - rejected.rows_after, first.rejected - others.len() as u64);

    let again = lake.load(MOVEMENTS, text + "\n").await;
    assert_eq!(again.received, first.received);
    assert_eq!((again.rejected, again.suppressed), (5, first.rejected - 5), "{again:?}");
    assert_eq!(again.rejects.len(), 5);
    expected.extend(expected.clone());
    expected.sort();
    assert_eq!(left().await, expected);
    // Names of fields of theirs are not told either.
    assert!(!again.unknown_fields.contains_key("contact"), "{again:?}");
}

/// Files that were imported before are imported again from another place, and grown.
#[tokio::test(flavor = "multi_thread")]
async fn imports_keep_out_too() {
    let folder = tempfile::tempdir().unwrap();
    let incoming = folder.path().join("incoming");
    std::fs::create_dir_all(&incoming).unwrap();
    let toml = format!("[landing]\nimport_from = [{:?}]\n", incoming);
    let serving = Serving::start(folder.path(), &toml).await;
    let token = serving.token(Role::Admin, "admin");
    let post = async |path: &str, body: Value| -> Value {
        let request = serving.http.post(format!("{}{path}", serving.url)).bearer_auth(&token);
        let answer = request.header("prefer", "wait=30").json(&body).send().await.unwrap();
        answer.json().await.unwrap()
    };
    let import = async || -> Value {
        post("/v1/landing/customer_landing/imports", json!({ "source": incoming })).await
    };
    let both = customer("ada@x.c", "d1", true) + &customer("bob@x.c", "d1", true);
    std::fs::write(incoming.join("a.json"), &both).unwrap();
    let first = import().await;
    assert_eq!((&first["accepted"], &first["suppressed"]), (&json!(2), &json!(0)), "{first}");

    let config = stedi_server::config::Config {
        storage: folder.path().join(".stedi/lake").to_str().unwrap().to_owned(),
        state_dir: folder.path().join(".stedi"),
        ..Default::default()
    };
    let other = TestLake::open(config, tempfile::tempdir().unwrap()).await;
    other.erase(("e1", "ada@x.c", 50), &["d1"]).await;
    std::fs::write(incoming.join("a.json"), both.clone() + "\n").unwrap();
    std::fs::write(incoming.join("b.json"), both).unwrap();
    let second = import().await;
    let figures = ["received", "accepted", "duplicate", "suppressed"].map(|name| &second[name]);
    assert_eq!(figures, [&json!(4), &json!(1), &json!(2), &json!(1)], "{second}");
    let rows =
        post("/v1/sql", json!({ "sql": "SELECT DISTINCT email FROM customer_landing" })).await;
    assert_eq!(rows["rows"], json!([["bob@x.c"]]));
    let metrics = serving.http.get(format!("{}/metrics", serving.url)).bearer_auth(&token);
    let metrics = metrics.send().await.unwrap().text().await.unwrap();
    let line = r#"stedi_landing_records_total{table="customer_landing",outcome="suppressed"} 1"#;
    assert!(metrics.contains(line), "{metrics}");
}
