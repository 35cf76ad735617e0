//! Canaries in every place: another program finds all of them before, and none afterwards.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stedi_server::auth::Role;

use super::{DERIVED, QUICK, Site, customer};
use crate::support::{SeaweedFs, Serving, client, python};

/// The objects in which another program finds something.
fn found(root: &str, needles: &[String], environment: &[(String, String)]) -> BTreeSet<String> {
    let mut arguments = vec![root];
    arguments.extend(needles.iter().map(String::as_str));
    let text = python("scan.py", &arguments, environment);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (last, lines) = lines.split_last().unwrap();
    assert!(last["objects"].as_u64().unwrap() > 20, "{last}");
    lines.iter().map(|line| line["object"].as_str().unwrap().to_owned()).collect()
}

impl Site {
    async fn kept_statement(&self) -> String {
        let sql = "SELECT email, serialnumber FROM customer_landing WHERE email <> 'ada@rev'";
        let sql = json!({ "sql": format!("{sql} OR email = 'ada@rev'") });
        let (_, kept) = self.answer(self.post("/v1/statements").json(&sql)).await;
        let path = format!("/v1/statements/{}", kept["id"].as_str().unwrap());
        let started = Instant::now();
        loop {
            let (status, statement) = self.get(&path).await;
            assert_eq!(status, 200, "{statement}");
            if statement["state"] == "succeeded" {
                return path;
            }
            assert!(started.elapsed() < Duration::from_secs(30), "{statement}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Somebody whose name at the identity provider is a customer's e-mail asks for something.
    async fn asked_as(&self, subject: &str) {
        let token = self.serving.token(Role::Analyst, subject);
        let request = self.serving.http.post(format!("{}/v1/sql", self.serving.url));
        let sql = json!({ "sql": "SELECT count(*) FROM customer_curated" });
        let answer = request.bearer_auth(token).json(&sql).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }

    async fn import(&self, folder: &Path) {
        let request = self.post("/v1/landing/customer_landing/imports");
        let request = request.header("prefer", "wait=60").json(&json!({ "source": folder }));
        let (status, import) = self.answer(request).await;
        assert_eq!((status, &import["state"]), (200, &json!("succeeded")), "{import}");
    }

    async fn maintain(&self) {
        let request = self.post("/v1/maintenance").header("prefer", "wait=60");
        let (status, done) = self.answer(request.json(&json!({}))).await;
        assert_eq!((status, &done["state"]), (200, &json!("succeeded")), "{done}");
    }

    /// Everything of her that may be somewhere.
    async fn canaries(&self, incoming: &Path) {
        self.customers(&["ada", "bob"]).await;
        // An earlier revocation, after which she consented again.
        let (_, revoked) =
            self.answer(self.post("/v1/revocations").json(&json!({ "email": "ada@rev" }))).await;
        let id = revoked["id"].as_str().unwrap();
        let revoked = self.ended(&format!("/v1/revocations/{id}")).await;
        assert_eq!(revoked["state"], "succeeded", "{revoked}");
        self.load("customer_landing", customer("ada", 20, 4_000_000_000_000)).await;
        self.promote().await;
        let rejected = [
            "{\"email\":\"ada@rev\",\"customerName\":\"Name Of ada\"}\n",
            "{\"email\":\"ADA@rev\",\"serialNumber\": nothing that can be read\n",
            "{\"user\":\"ada@rev\",\"timestamp\":\"never\",\"x\":1,\"y\":1,\"z\":1}\n",
        ];
        let loaded = self.load("customer_landing", rejected[..2].concat()).await;
        assert_eq!(loaded["rejected"], 2, "{loaded}");
        let loaded = self.load("accelerometer_landing", rejected[2]).await;
        assert_eq!(loaded["rejected"], 1, "{loaded}");
        std::fs::create_dir_all(incoming).unwrap();
        // A file of hers in which somebody else is, too.
        let others = format!("{}{{\"email\":\"bob@rev\"}}\n", customer("bob", 30, 1000));
        std::fs::write(incoming.join("of ada@rev.json"), others).unwrap();
        self.import(incoming).await;
        self.asked_as("ada@rev").await;
        self.sql("SELECT count(*) FROM customer_landing WHERE email = 'ada@rev'").await;
        self.promote().await;
        self.maintain().await;
        let (status, _) = self.get("/v1/audit").await;
        assert_eq!(status, 200);
    }
}

/// Goes the whole way in a lake; `root` is it as the other program knows it.
async fn gone_everywhere(site: Site, folder: &Path, root: &str, environment: &[(String, String)]) {
    site.canaries(&folder.join("incoming")).await;
    let kept = site.kept_statement().await;
    let (ada, bob) = (site.subject("ada").await, site.subject("bob").await);
    let needles = ["ada@rev", "serial-of-ada", "Name Of ada", &ada].map(str::to_owned);
    let before = found(root, &needles, environment);
    for place in [
        "landing/customer_landing/part-",
        "landing/customer_landing/_delta_log/",
        "landing/accelerometer_landing/part-",
        "landing/step_trainer_landing/part-",
        "landing/step_trainer_landing/_delta_log/",
        "landing/customer_landing_rejected/part-",
        "landing/accelerometer_landing_rejected/part-",
        "landing/customer_revocation/part-",
        "trusted/customer_trusted/part-",
        "trusted/customer_trusted/_delta_log/",
        "trusted/step_trainer_trusted/part-",
        "curated/machine_learning_curated/part-",
        ".checkpoint.parquet",
        "system/audit/part-",
        "system/statements/",
        "system/imports/runs/",
    ] {
        assert!(before.iter().any(|object| object.contains(place)), "{place}: {before:#?}");
    }
    // What names her in orders is sealed or keyed from the beginning.
    assert!(!before.iter().any(|object| object.starts_with("system/revocations")), "{before:#?}");
    let bobs = site.rows("bob", &bob).await;
    assert!(bobs.iter().all(|rows| !rows.as_array().unwrap().is_empty()), "{bobs:?}");

    let [hers, his] = looked_for(&site).await.try_into().unwrap();
    let trusted = site.serving.json("/v1/tables/customer_trusted").await["version"].as_u64();
    let erasure = site.erase(json!({ "email": " ADA@rev ", "reason": "by letter" })).await;
    let id = erasure["id"].as_str().unwrap();
    // From the acknowledgement on she is in no zone and in no version.
    let started = Instant::now();
    let mut past = BTreeSet::new();
    loop {
        for (table, version) in [
            ("customer_landing", None),
            ("customer_landing", Some(1)),
            ("accelerometer_landing", Some(1)),
            ("step_trainer_landing", Some(1)),
            ("customer_landing_rejected", Some(1)),
            ("customer_revocation", Some(1)),
            // Versions before that went with the revocation.
            ("customer_trusted", trusted),
            ("step_trainer_trusted", None),
        ] {
            let own = match table {
                "step_trainer_landing" | "step_trainer_trusted" => "serialnumber = 'serial-of-ada'",
                "customer_landing_rejected" => "raw ILIKE '%ada@rev%'",
                _ => &format!("subject_id = '{ada}'"),
            };
            let at = version.map(|version| format!("VERSION AS OF {version}")).unwrap_or_default();
            let sql = format!("SELECT count(*) FROM {table} {at} WHERE {own}");
            let (status, answer) = site.ask(&sql).await;
            match status {
                200 => assert_eq!(answer["rows"], json!([[0]]), "{sql}"),
                410 => assert_eq!(answer["code"], "purged", "{sql}: {answer}"),
                status => assert_eq!(status, 503, "{sql}: {answer}"),
            }
            past.insert((table, version.is_some(), status));
        }
        let work = site.serving.json(&format!("/v1/erasures/{id}")).await;
        if !["queued", "running"].contains(&work["state"].as_str().unwrap()) {
            assert_eq!(work["state"], "succeeded", "{work:#}");
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(300), "{work}");
    }
    // Time travel was there, without her, and is gone at the end.
    for table in ["customer_landing", "step_trainer_landing", "customer_trusted"] {
        assert!(past.contains(&(table, true, 200)), "{past:?}");
        let (status, _) = site.ask(&format!("SELECT 1 FROM {table} VERSION AS OF 1")).await;
        assert_eq!(status, 410, "{table}");
    }
    let work = site.serving.json(&format!("/v1/erasures/{id}")).await;

    let after = found(root, &needles, environment);
    assert!(after.is_empty(), "{after:#?}");
    let (status, problem) = site.get(&kept).await;
    assert_eq!((status, &problem["code"]), (404, &json!("statement_not_found")), "{problem}");
    let audit = site.serving.json("/v1/audit/verify").await;
    assert_eq!(audit["ok"], true, "{audit}");
    let redacted: u64 = audit["chains"]
        .as_array()
        .unwrap()
        .iter()
        .map(|chain| chain["redacted"].as_u64().unwrap())
        .sum();
    // The principal, and two statements that asked for her.
    assert!(redacted >= 3, "{audit}");
    // What was asked for her is not to be seen any more, not even by its hash.
    assert_eq!(looked_for(&site).await, [his], "{hers}");
    // Everybody else's rows are as they were, row for row.
    assert_eq!(site.rows("bob", &bob).await, bobs);

    // It goes on from where it was.
    site.load("accelerometer_landing", reading("bob", 40)).await;
    let modes = site.promote().await;
    assert!(!modes.iter().any(|mode| mode == "rebuild"), "{modes:?}");
    // Her records that arrive again are kept out.
    let again = site.load("customer_landing", customer("ada", 50, 4_000_000_000_000)).await;
    assert_eq!((&again["accepted"], &again["suppressed"]), (&json!(0), &json!(1)), "{again}");
    let again = site.load("accelerometer_landing", reading("ada", 50)).await;
    assert_eq!((&again["accepted"], &again["suppressed"]), (&json!(0), &json!(1)), "{again}");
    site.promote().await;
    let after = found(root, &needles, environment);
    assert!(after.is_empty(), "{after:#?}");

    proved(&site, folder, &work).await;
}

/// The statements with which somebody was looked up by e-mail, as the audit has them: in the order of their
/// first time.
async fn looked_for(site: &Site) -> Vec<String> {
    let records = site.serving.json("/v1/audit?limit=1000").await;
    let mut found = Vec::new();
    // The newest are first.
    for record in records["records"].as_array().unwrap().iter().rev() {
        let statement = record["statement"].as_str().unwrap_or_default().to_owned();
        if statement.contains("max(subject_id) FROM customer_landing WHERE email")
            && !found.contains(&statement)
        {
            found.push(statement);
        }
    }
    found
}

fn reading(name: &str, time: i64) -> String {
    format!("{{\"user\":\"{name}@rev\",\"timestamp\":{time},\"x\":1,\"y\":1,\"z\":1}}\n")
}

/// The certificate says what was done, names nobody, and is checked without the server.
async fn proved(site: &Site, folder: &Path, work: &Value) {
    let token = site.serving.token(Role::Admin, "admin");
    let get = async |path: String| {
        let request = site.serving.http.get(format!("{}{path}", site.serving.url));
        let answer = request.bearer_auth(&token).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.text().await.unwrap()
    };
    let id = work["id"].as_str().unwrap();
    let certificate = get(format!("/v1/erasures/{id}/certificate")).await;
    std::fs::write(folder.join("certificate.json"), &certificate).unwrap();
    std::fs::write(folder.join("key.pem"), get("/v1/certificates/key".to_owned()).await).unwrap();
    let mut verify = client();
    verify.current_dir(folder).args(["certificate", "verify", "certificate.json"]);
    let output = verify.args(["--key", "key.pem"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("erasure"), "{output:?}");
    let certificate: Value = serde_json::from_str(&certificate).unwrap();
    assert_eq!((&certificate["kind"], &certificate["work"]), (&json!("erasure"), &work["id"]));
    assert_eq!(certificate["scan"]["except"], json!([]));
    let tables: BTreeSet<&str> = certificate["tables"]
        .as_array()
        .unwrap()
        .iter()
        .map(|table| table["table"].as_str().unwrap())
        .collect();
    let sources = ["customer_landing", "customer_landing_rejected", "customer_revocation", "audit"];
    assert!(sources.iter().chain(&DERIVED).all(|table| tables.contains(table)), "{tables:?}");
    for table in certificate["tables"].as_array().unwrap() {
        assert!(table["history_from"].as_u64() >= table["version_after"].as_u64(), "{table}");
        assert!(table["rows_after"].as_u64() <= table["rows_before"].as_u64(), "{table}");
    }
    let kinds: BTreeSet<&str> = certificate["scan"]["identifiers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|kind| kind["kind"].as_str().unwrap())
        .collect();
    assert!(
        ["email", "serialnumber", "subject_id"].iter().all(|it| kinds.contains(it)),
        "{kinds:?}"
    );
    // It is no revocation.
    let (status, problem) = site.get(&format!("/v1/revocations/{id}")).await;
    assert_eq!((status, &problem["code"]), (404, &json!("revocation_not_found")), "{problem}");
    let (status, _) = site.get(&format!("/v1/revocations/{id}/certificate")).await;
    assert_eq!(status, 404);
    let erasures = site.serving.json("/v1/erasures").await;
    assert_eq!(erasures["erasures"].as_array().unwrap().len(), 1, "{erasures}");
    let revocations = site.serving.json("/v1/revocations").await;
    let ids = revocations["revocations"].as_array().unwrap();
    assert!(ids.iter().all(|one| one["kind"] == "revocation" && one["id"] != work["id"]));
}

fn toml(folder: &Path) -> String {
    let incoming = folder.join("incoming");
    std::fs::create_dir_all(&incoming).unwrap();
    // Long enough for the past to be read while it is denied.
    let slow = QUICK.replace("grace_seconds = 0", "grace_seconds = 3");
    format!("{slow}[landing]\nimport_from = [{incoming:?}]\n")
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(python_readers), ignore = "pyarrow is not installed; tests/run installs it")]
async fn nothing_is_left_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), &toml(folder.path())).await;
    let root = folder.path().join(".stedi/lake");
    gone_everywhere(site, folder.path(), root.to_str().unwrap(), &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(
    not(all(seaweedfs, python_readers)),
    ignore = "SeaweedFS is not installed; tests/run installs it"
)]
async fn nothing_is_left_in_a_bucket() {
    let s3 = SeaweedFs::start();
    let environment = s3.environment();
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start_with(folder.path(), &toml(folder.path()), |command| {
        command.args(["--storage", "s3://lake/erased"]).envs(environment.clone());
    })
    .await;
    gone_everywhere(Site { serving }, folder.path(), "s3://lake/erased", &environment).await;
}
