//! What is refused: shared devices, legal holds, what cannot be read; and what a key stands for.

use std::time::Duration;

use serde_json::{Value, json};
use stedi_server::auth::Role;

use super::{QUICK, Site, customer};

impl Site {
    async fn hold(&self, body: Value) -> (u16, Value) {
        self.answer(self.post("/v1/legal-holds").json(&body)).await
    }

    async fn refused(&self, body: &Value, status: u16, code: &str) -> Value {
        let (found, problem) = self.answer(self.post("/v1/erasures").json(body)).await;
        assert_eq!((found, &problem["code"]), (status, &json!(code)), "{body}: {problem}");
        problem
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_device_names_nobody_and_a_hold_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), QUICK).await;
    site.customers(&["ada", "bob", "cyd"]).await;
    let shared = |name: &str| {
        customer(name, 11, 1000).replace(&format!("serial-of-{name}"), "shared-device")
    };
    site.load("customer_landing", shared("bob") + &shared("cyd")).await;
    for (body, status, code) in [
        (json!({ "serialnumber": "nothing" }), 404, "customer_not_found"),
        (json!({ "serialnumber": "shared-device" }), 409, "device_shared"),
        (json!({}), 400, "malformed"),
        (json!({ "email": "ada@rev", "serialnumber": "serial-of-ada" }), 400, "malformed"),
        (json!({ "email": "ada@rev", "reason": "Ada@rev asked" }), 400, "malformed"),
        // The request does not name her so, her records do.
        (json!({ "serialnumber": "serial-of-ada", "reason": "ada@rev asked" }), 400, "malformed"),
    ] {
        site.refused(&body, status, code).await;
    }
    let held = json!({ "email": "BOB@rev", "reason": "claim 117" });
    let (status, hold) = site.hold(held).await;
    assert_eq!((status, &hold["erasure"]), (201, &Value::Null), "{hold}");
    let (status, problem) = site.hold(json!({ "email": "bob@rev", "reason": " " })).await;
    assert_eq!((status, &problem["code"]), (400, &json!("malformed")));
    let (status, problem) =
        site.hold(json!({ "email": "bob@rev", "reason": "bob@rev sues" })).await;
    assert_eq!((status, &problem["code"]), (400, &json!("malformed")));
    let token = site.serving.token(Role::Ingest, "loader");
    let request = site.serving.http.get(format!("{}/v1/legal-holds", site.serving.url));
    assert_eq!(request.bearer_auth(token).send().await.unwrap().status(), 403);
    // The whole call is refused, and says because of whom.
    let both = json!({ "requests": [{ "email": "ada@rev" }, { "serialnumber": "serial-of-bob" }] });
    let problem = site.refused(&both, 409, "legal_hold").await;
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("request 1") && detail.contains("claim 117"), "{detail}");
    assert_eq!(site.serving.json("/v1/erasures").await["erasures"], json!([]));
    assert_eq!(site.sql("SELECT count(*) FROM customer_landing").await, json!([[5]]));
    let holds = site.serving.json("/v1/legal-holds").await;
    assert_eq!(holds["holds"][0]["id"], hold["id"], "{holds}");
    assert!(!holds.to_string().contains(&site.subject("bob").await), "{holds}");

    // It ends by a call; what comes after the acknowledgement is too late, and says so.
    let end = |id: &str| {
        let token = site.serving.token(Role::Admin, "admin");
        let url = format!("{}/v1/legal-holds/{id}", site.serving.url);
        site.serving.http.delete(url).bearer_auth(token)
    };
    let id = hold["id"].as_str().unwrap();
    assert_eq!(site.answer(end(id)).await.0, 200);
    let (status, problem) = site.answer(end(id)).await;
    assert_eq!((status, &problem["code"]), (404, &json!("legal_hold_not_found")), "{problem}");
    let keyed = || site.post("/v1/erasures").header("idempotency-key", "k").json(&both);
    let (status, erasure) = site.answer(keyed()).await;
    assert_eq!((status, &erasure["customers"]), (202, &json!(2)), "{erasure}");
    let (_, late) = site.hold(json!({ "email": "ada@rev", "reason": "claim 118" })).await;
    assert_eq!(late["erasure"], erasure["id"], "{late}");
    let id = erasure["id"].as_str().unwrap();
    let (status, problem) = site.answer(site.post(&format!("/v1/erasures/{id}/cancel"))).await;
    assert_eq!((status, &problem["code"]), (409, &json!("not_cancelled")), "{problem}");
    let ended = site.ended(&format!("/v1/erasures/{id}")).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    // A key stands for the same erasure when nobody can be found any more.
    let (status, again) = site.answer(keyed()).await;
    assert_eq!((status, &again["id"]), (200, &erasure["id"]), "{again}");
    let other = site.post("/v1/erasures").header("idempotency-key", "k");
    let (status, problem) = site.answer(other.json(&json!({ "email": "cyd@rev" }))).await;
    assert_eq!((status, &problem["code"]), (422, &json!("idempotency_key_reused")), "{problem}");

    // Of the device that bob shared, cyd is the only claimant now, and her records are all there.
    assert_eq!(
        site.sql("SELECT email, count(*) FROM customer_landing GROUP BY email").await,
        json!([["cyd@rev", 2]])
    );
    // The device, and phone with birthday, which all have.
    assert_eq!(ended["shared"], 2, "{ended}");
}

/// Whoever places a hold knows whether it holds, however close an erasure is.
#[tokio::test(flavor = "multi_thread")]
async fn a_hold_stops_an_erasure_or_says_that_it_is_too_late() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), QUICK).await;
    let names = ["ada", "bob", "cyd", "dan", "eve", "fay"];
    site.customers(&names).await;
    let (mut stopped, mut late) = (0, 0);
    for (name, millis) in names.iter().zip([0, 20, 60, 120, 300, 600]) {
        let email = format!("{name}@rev");
        let asked = site.answer(site.post("/v1/erasures").json(&json!({ "email": email })));
        let placed = async {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            site.hold(json!({ "email": email, "reason": "claim 119" })).await
        };
        let ((status, erasure), (placed, hold)) = tokio::join!(asked, placed);
        assert_eq!(placed, 201, "{hold}");
        match hold["erasure"].is_null() {
            true => {
                stopped += 1;
                assert_eq!((status, &erasure["code"]), (409, &json!("legal_hold")), "{erasure}");
                let sql = format!("SELECT count(*) FROM customer_landing WHERE email = '{email}'");
                assert_eq!(site.sql(&sql).await, json!([[1]]), "{name}");
            }
            false => {
                late += 1;
                assert_eq!((status, &erasure["id"]), (202, &hold["erasure"]), "{erasure}");
            }
        }
    }
    println!("{stopped} stopped, {late} too late");
}
