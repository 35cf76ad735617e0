//! People of whom there is no customer record, devices that others use, what is left and found, and a
//! revocation at the same time.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{QUICK, Site, customer};

#[tokio::test(flavor = "multi_thread")]
async fn whoever_only_readings_name_is_forgotten_too() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), QUICK).await;
    site.customers(&["bob"]).await;
    // Nobody's customer, and one who never consented.
    let reading = "{\"user\":\"eve@rev\",\"timestamp\":5,\"x\":1,\"y\":1,\"z\":1}\n";
    site.load("accelerometer_landing", reading).await;
    let never = customer("dan", 10, 1000).replace("\"shareWithResearchAsOfDate\":1000,", "");
    site.load("customer_landing", never).await;
    site.promote().await;
    let done =
        site.erased(json!({ "requests": [{ "email": "eve@rev" }, { "email": "dan@rev" }] })).await;
    assert_eq!(done["customers"], 2, "{done}");
    let left = "SELECT count(*) FROM accelerometer_landing WHERE \"user\" = 'eve@rev'";
    assert_eq!(site.sql(left).await, json!([[0]]));
    let again = site.load("accelerometer_landing", reading.replace(":5,", ":6,")).await;
    assert_eq!((&again["accepted"], &again["suppressed"]), (&json!(0), &json!(1)), "{again}");
    assert_eq!(site.sql("SELECT email FROM customer_landing").await, json!([["bob@rev"]]));
    // Nobody knows them: there is nothing to do, and that is proved.
    let done = site.erased(json!({ "email": "nobody@rev" })).await;
    assert!(done["certificate"].is_u64(), "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_fails_it_and_a_second_one_knows_what_to_look_for() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), QUICK).await;
    site.customers(&["ada", "bob"]).await;
    let lake = folder.path().join(".stedi/lake");
    std::fs::write(lake.join("curated/left.txt"), "the device serial-of-ada").unwrap();
    // A device of hers that is somebody's who is not a customer yet, by its later readings.
    let later = "{\"sensorReadingTime\":4000000000000,\"serialNumber\":\"serial-of-ada\",\"distanceFromObject\":7}\n";
    let erasure = site.erase(json!({ "email": "ada@rev" })).await;
    let id = erasure["id"].as_str().unwrap();
    let failed = site.ended(&format!("/v1/erasures/{id}")).await;
    assert_eq!(failed["state"], "failed", "{failed}");
    assert_eq!(
        failed["found"],
        json!([{ "object": "curated/left.txt", "what": "serialnumber in its bytes" }])
    );
    let (status, problem) = site.get(&format!("/v1/erasures/{id}/certificate")).await;
    assert_eq!((status, &problem["code"]), (404, &json!("certificate_not_found")));
    // Her records are gone; what names her is known all the same, and still found.
    let again = site.erase(json!({ "email": "ada@rev" })).await;
    let failed = site.ended(&format!("/v1/erasures/{}", again["id"].as_str().unwrap())).await;
    assert_eq!(failed["found"][0]["object"], "curated/left.txt", "{failed}");
    std::fs::remove_file(lake.join("curated/left.txt")).unwrap();
    site.load("step_trainer_landing", later).await;
    let done = site.erased(json!({ "email": "ada@rev" })).await;
    // The device, and phone with birthday, which all have.
    assert_eq!(done["shared"], 2, "{done}");
    // What the failed ones knew goes with the last, right after its end can be read.
    let sealed = lake.join("system/revocations/sealed");
    let since = Instant::now();
    while std::fs::read_dir(&sealed).unwrap().count() > 0 {
        assert!(since.elapsed() < Duration::from_secs(60), "something sealed is left");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn together_with_a_revocation() {
    let folder = tempfile::tempdir().unwrap();
    let slow = QUICK.replace("grace_seconds = 0", "grace_seconds = 2");
    let site = Site::start(folder.path(), &slow).await;
    site.customers(&["ada", "bob", "cyd"]).await;
    let (cyd, before) = {
        let cyd = site.subject("cyd").await;
        let rows = site.rows("cyd", &cyd).await;
        (cyd, rows)
    };
    let (_, first) =
        site.answer(site.post("/v1/revocations").json(&json!({ "email": "bob@rev" }))).await;
    let second = site.erase(json!({ "serialnumber": "serial-of-ada" })).await;
    // Who is being erased is not asked for a second time.
    for path in ["/v1/revocations", "/v1/erasures"] {
        let (status, problem) =
            site.answer(site.post(path).json(&json!({ "email": "ada@rev" }))).await;
        assert_eq!((status, &problem["code"]), (409, &json!("erasure_open")), "{path}: {problem}");
    }
    let path = |kind: &str, work: &Value| format!("/v1/{kind}/{}", work["id"].as_str().unwrap());
    for path in [path("revocations", &first), path("erasures", &second)] {
        let ended = site.ended(&path).await;
        assert_eq!(ended["state"], "succeeded", "{ended}");
    }
    // Landing keeps the one and not the other.
    assert_eq!(
        site.sql("SELECT email FROM customer_landing ORDER BY email").await,
        json!([["bob@rev"], ["cyd@rev"]])
    );
    assert_eq!(site.rows("cyd", &cyd).await, before);
}
