//! Customers withdraw their consent: from the request to the certificate.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stedi_openapi::{CertificateKind, WorkState};
use stedi_server::auth::Role;
use stedi_server::consent::Who;
use stedi_server::ledger::Asker;

use crate::support::{DERIVED, QUICK, Site, TestLake, client, customer, holding};

impl Site {
    /// A revocation, once it has ended.
    async fn over(&self, id: &str) -> Value {
        self.ended(&format!("/v1/revocations/{id}")).await
    }

    /// Rows of each derived table, of everybody and of one customer.
    async fn counts(&self, name: &str) -> Vec<(i64, i64)> {
        let subject =
            format!("SELECT max(subject_id) FROM customer_landing WHERE email = '{name}@rev'");
        let subject = self.sql(&subject).await[0][0].as_str().unwrap().to_owned();
        let mut rows = Vec::new();
        for table in DERIVED {
            let sql = format!(
                "SELECT count(*), count(*) FILTER (WHERE subject_id = '{subject}') FROM {table}"
            );
            let row = self.sql(&sql).await[0].clone();
            rows.push((row[0].as_i64().unwrap(), row[1].as_i64().unwrap()));
        }
        rows
    }

    async fn revoke(&self, body: Value) -> Value {
        let (status, revocation) = self.answer(self.post("/v1/revocations").json(&body)).await;
        assert!([200, 202].contains(&status), "{revocation}");
        assert!(revocation["acknowledged"].as_i64().is_some(), "{revocation}");
        revocation
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_request_to_the_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), QUICK).await;
    site.customers(&["ada", "bob"]).await;
    let before = site.counts("ada").await;
    assert!(before.iter().all(|(all, own)| *all > *own && *own > 0), "{before:?}");
    let bobs = site.counts("bob").await;

    let revocation = site.revoke(json!({ "email": " ADA@rev ", "reason": "by letter" })).await;
    // From the acknowledgement on, whether or not anything is deleted yet.
    let after = site.counts("ada").await;
    assert!(after.iter().all(|(_, own)| *own == 0), "{after:?}");
    let ended = site.over(revocation["id"].as_str().unwrap()).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    assert_eq!((&ended["step"], &ended["found"]), (&json!("done"), &json!([])));
    assert_eq!((&ended["certificate"], &ended["customers"]), (&json!(1), &json!(1)));
    assert!(ended["scan"]["rows"].as_u64().unwrap() > 0, "{ended}");
    for table in ended["tables"].as_array().unwrap() {
        assert!(table["history_from"].as_u64() >= table["version_after"].as_u64(), "{table}");
        assert!(table["rows_after"].as_u64() < table["rows_before"].as_u64(), "{table}");
        assert!(table["files_removed"].as_u64() > Some(0), "{table}");
    }
    // The proof is as it was signed, and checked without the server.
    let token = site.serving.token(Role::Admin, "admin");
    let get = async |path: &str| {
        let request = site.serving.http.get(format!("{}{path}", site.serving.url));
        let answer = request.bearer_auth(&token).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.text().await.unwrap()
    };
    let certificate =
        get(&format!("/v1/revocations/{}/certificate", ended["id"].as_str().unwrap())).await;
    std::fs::write(folder.path().join("certificate.json"), &certificate).unwrap();
    std::fs::write(folder.path().join("key.pem"), get("/v1/certificates/key").await).unwrap();
    let mut verify = client();
    verify.current_dir(folder.path()).args([
        "certificate",
        "verify",
        "certificate.json",
        "--key",
        "key.pem",
    ]);
    let output = verify.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let certificate: Value = serde_json::from_str(&certificate).unwrap();
    assert_eq!(certificate["requests"][0]["id"], ended["id"]);
    assert_eq!(certificate["tables"], ended["tables"]);

    // Everybody else is as before, and nothing outside of landing has a word of hers.
    let left = site.counts("bob").await;
    let own = |rows: &[(i64, i64)]| rows.iter().map(|(_, own)| *own).collect::<Vec<_>>();
    assert_eq!(own(&left), own(&bobs));
    for zone in ["trusted", "curated", "system"] {
        for text in ["ada@rev", "serial-of-ada", "Name Of ada"] {
            let found = holding(&folder.path().join(".stedi/lake").join(zone), text);
            assert!(found.is_empty(), "{text}: {found:?}");
        }
    }
    // The past is gone for good, and says so.
    let past = json!({ "sql": "SELECT count(*) FROM customer_trusted VERSION AS OF 1" });
    let (status, problem) = site.answer(site.post("/v1/sql").json(&past)).await;
    assert_eq!((status, &problem["code"]), (410, &json!("purged")), "{problem}");

    // An update that repeats the old date changes nothing; a later consent counts.
    site.load("customer_landing", customer("ada", 20, 1000)).await;
    site.promote().await;
    assert!(site.counts("ada").await.iter().all(|(_, own)| *own == 0));
    site.load("customer_landing", customer("ada", 30, 4_000_000_000_000)).await;
    site.promote().await;
    assert_eq!(own(&site.counts("ada").await), own(&before));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_ends_a_consent_names_its_revocation() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), QUICK).await;
    site.customers(&["ada", "bob"]).await;
    // A consent that is not readable is none.
    let record = customer("ada", 20, 0)
        .replace("\"shareWithResearchAsOfDate\":0", "\"shareWithResearchAsOfDate\":\"never\"");
    let result = site.load("customer_landing", record.clone()).await;
    let ids = result["revocations"].as_array().unwrap();
    assert_eq!(ids.len(), 1, "{result}");
    assert!(site.counts("ada").await.iter().all(|(_, own)| *own == 0));
    let ended = site.over(ids[0].as_str().unwrap()).await;
    assert_eq!(
        (&ended["state"], &ended["cause"]),
        (&json!("succeeded"), &json!("load")),
        "{ended}"
    );
    // Its records say it: there is no row of a revocation that a later record would have to beat.
    assert_eq!(site.sql("SELECT count(*) FROM customer_revocation").await, json!([[0]]));
    site.load("customer_landing", customer("ada", 30, 1000)).await;
    site.promote().await;
    assert!(site.counts("ada").await.iter().all(|(_, own)| *own > 0));
    // What ends nothing opens nothing.
    let result = site.load("customer_landing", customer("bob", 40, 1000)).await;
    assert_eq!(result["revocations"], json!([]), "{result}");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_at_once_and_what_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(
        folder.path(),
        &format!("{QUICK}\n").replace("[consent]", "[consent]\ndeadline_hours = 0"),
    )
    .await;
    site.customers(&["ada", "bob", "cyd"]).await;
    site.load("customer_landing", customer("bob", 11, 1000).replace("serial-of-bob", "shared"))
        .await;
    site.load("customer_landing", customer("cyd", 11, 1000).replace("serial-of-cyd", "shared"))
        .await;
    for (body, status, code) in [
        (json!({ "email": "nobody@rev" }), 404, "customer_not_found"),
        (json!({ "serialnumber": "nothing" }), 404, "customer_not_found"),
        (json!({ "serialnumber": "shared" }), 409, "device_shared"),
        (json!({}), 400, "malformed"),
        (json!({ "email": "" }), 400, "malformed"),
        (json!({ "email": "ada@rev", "serialnumber": "serial-of-ada" }), 400, "malformed"),
        (json!({ "email": "ada@rev", "requests": [{ "email": "bob@rev" }] }), 400, "malformed"),
        (json!({ "email": "ada@rev", "reason": "Ada@rev asked" }), 400, "malformed"),
        (
            json!({ "requests": [{ "email": "ada@rev" }, { "email": "nobody@rev" }] }),
            404,
            "customer_not_found",
        ),
        (json!({ "mail": "ada@rev" }), 400, "malformed"),
    ] {
        let (found, problem) = site.answer(site.post("/v1/revocations").json(&body)).await;
        assert_eq!((found, &problem["code"]), (status, &json!(code)), "{body}: {problem}");
    }
    assert_eq!(site.serving.json("/v1/revocations").await["revocations"], json!([]));
    let both = json!({ "requests": [{ "email": "ada@rev" }, { "serialnumber": "serial-of-bob" }] });
    let keyed = || site.post("/v1/revocations").header("idempotency-key", "k").json(&both);
    let (status, revocation) = site.answer(keyed()).await;
    assert_eq!((status, &revocation["customers"]), (202, &json!(2)), "{revocation}");
    let id = revocation["id"].as_str().unwrap();
    assert_eq!(site.answer(keyed()).await.1["id"], revocation["id"]);
    // What is acknowledged is not taken back.
    let (status, problem) = site.answer(site.post(&format!("/v1/revocations/{id}/cancel"))).await;
    assert_eq!((status, &problem["code"]), (409, &json!("not_cancelled")), "{problem}");
    let overdue = site.serving.json("/v1/revocations?state=overdue").await;
    assert_eq!(overdue["revocations"].as_array().unwrap().len(), 1, "{overdue}");
    let ended = site.over(id).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    for name in ["ada", "bob"] {
        assert!(site.counts(name).await.iter().all(|(_, own)| *own == 0), "{name}");
    }
    let left = site.counts("cyd").await;
    assert_eq!(left[0], (1, 1), "{left:?}");
    let overdue = site.serving.json("/v1/revocations?state=overdue").await;
    assert_eq!(overdue["revocations"], json!([]));
    let audit = site.serving.json("/v1/audit?action=consent").await;
    assert!(audit["records"].as_array().unwrap().len() >= 3, "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_leaves_the_rest_to_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let slow = QUICK.replace("grace_seconds = 0", "grace_seconds = 4");
    let site = Site::start(folder.path(), &slow).await;
    site.customers(&["ada", "bob", "cyd"]).await;
    let first = site.revoke(json!({ "email": "ada@rev" })).await;
    let id = first["id"].as_str().unwrap();
    let started = Instant::now();
    while site.serving.json(&format!("/v1/revocations/{id}")).await["step"] != "purge" {
        assert!(started.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Another one is not held up by it.
    let second = site.revoke(json!({ "email": "bob@rev" })).await;
    site.serving.process.kill();
    let site = Site::start(folder.path(), &slow).await;
    for name in ["ada", "bob"] {
        assert!(site.counts(name).await.iter().all(|(_, own)| *own == 0), "{name}");
    }
    for id in [id, second["id"].as_str().unwrap()] {
        let ended = site.over(id).await;
        assert_eq!(ended["state"], "succeeded", "{ended}");
    }
    assert!(site.counts("cyd").await.iter().all(|(_, own)| *own > 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_fails_it_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), QUICK).await;
    site.customers(&["ada", "bob"]).await;
    let left = folder.path().join(".stedi/lake/curated/left.txt");
    std::fs::write(&left, "somebody wrote down ada@rev here").unwrap();
    // What somebody asked, with its result, is no proof: it is removed.
    let sql = json!({ "sql": "SELECT email FROM customer_landing WHERE email = 'ada@rev'" });
    let (_, kept) = site.answer(site.post("/v1/statements").json(&sql)).await;
    let kept = format!("/v1/statements/{}", kept["id"].as_str().unwrap());
    let started = Instant::now();
    while site.serving.json(&kept).await["state"] != "succeeded" {
        assert!(started.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let revocation = site.revoke(json!({ "requests": [{ "email": "ada@rev" }] })).await;
    let other = site.revoke(json!({ "email": "bob@rev" })).await;
    let ended = site.over(revocation["id"].as_str().unwrap()).await;
    assert_eq!(ended["state"], "failed", "{ended}");
    assert_eq!(
        ended["found"],
        json!([{ "object": "curated/left.txt", "what": "email in its bytes" }])
    );
    assert_eq!(ended["certificate"], Value::Null);
    let (status, problem) = {
        let token = site.serving.token(Role::Admin, "admin");
        let request = site.serving.http.get(format!("{}{kept}", site.serving.url));
        site.answer(request.bearer_auth(token)).await
    };
    assert_eq!((status, &problem["code"]), (404, &json!("statement_not_found")), "{problem}");
    // It is of nobody else.
    let ended = site.over(other["id"].as_str().unwrap()).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    // Once it is gone, the next one succeeds.
    std::fs::remove_file(left).unwrap();
    let again = site.revoke(json!({ "email": "ada@rev" })).await;
    let ended = site.over(again["id"].as_str().unwrap()).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn those_that_are_open_together_go_together() {
    let lake = TestLake::new().await;
    let mut customers = String::new();
    for number in 0..40 {
        customers += &customer(&format!("c{number}"), 10, 1000);
    }
    lake.load("customer_landing", customers).await;
    lake.promote().await;
    let mut config = lake.config.clone();
    config.consent.grace_seconds = Some(0);
    let app = stedi_server::app::App::open(&config).await.unwrap();
    let who = |number: usize| Who::Email(format!("c{number}@rev"));
    let asks = (0..20).map(|number| {
        let revocations = app.revocations.clone();
        async move {
            revocations
                .ask(CertificateKind::Revocation, Asker::service(), &[who(number)], None, None)
                .await
                .unwrap()
        }
    });
    let mut open = futures::future::join_all(asks).await;
    let many: Vec<Who> = (20..39).map(who).collect();
    open.push(
        app.revocations
            .ask(CertificateKind::Revocation, Asker::service(), &many, None, None)
            .await
            .unwrap(),
    );
    let ended = async {
        for revocation in &open {
            let work = app.revocations.work();
            let ended = work.wait(&revocation.id, Duration::from_secs(120)).await.unwrap();
            assert_eq!(ended.state, WorkState::Succeeded, "{ended:?}");
        }
    };
    tokio::select! {
        () = ended => {}
        () = app.revocations.keep_working() => panic!("it works until it is told to stop"),
        () = app.promotions.work().keep_working() => panic!("it works until it is told to stop"),
    }
    // One promotion for all of them, and one purge of each table.
    let (runs, _) = app.promotions.work().page(100, None, |_| true).await.unwrap();
    assert_eq!(runs.len(), 1, "{runs:?}");
    let left = lake.select("SELECT count(*) FROM customer_trusted").await;
    assert_eq!(left, [["1"]]);
    let newest = app.lake.current("trusted", "customer_trusted").await.unwrap().unwrap();
    let purged = app.lake.purged("customer_trusted").await.unwrap().unwrap();
    assert_eq!(newest.version(), purged.version, "{purged:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_promotion_that_was_killed_hold_up_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), QUICK).await;
    site.customers(&["ada", "kept"]).await;
    let zones = folder.path().join(".stedi/lake");
    let files =
        ["trusted/step_trainer_trusted/part-1.parquet", "curated/customer_curated/a.json#1"];
    let files = files.map(|file| zones.join(file));
    files.iter().for_each(|file| std::fs::write(file, "a reading of serial-of-ada").unwrap());
    let asked = site.revoke(json!({ "email": "ada@rev" })).await;
    let ended = site.over(asked["id"].as_str().unwrap()).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    assert!(!files.iter().any(|file| file.exists()));
    assert!(site.counts("kept").await.iter().all(|(_, theirs)| *theirs > 0));
}
