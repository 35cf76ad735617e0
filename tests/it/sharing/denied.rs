//! Files obey the deny list whenever they are fetched (invariant 3).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use stedi_server::auth::Role;
use stedi_server::ledger::{Denied, Reason};

use super::{DERIVED, Site, files, refused, table_path, versions};
use crate::support::{Serving, answered};

/// Denies the rows of a customer, as a server of its own.
async fn deny(site: &Site, request: &str, name: &str) {
    let email = format!("{name}@example.com");
    let subject = site.lake.subject(&email).await;
    let claimed =
        format!("SELECT DISTINCT serialnumber FROM customer_landing WHERE email = '{email}'");
    let devices = site.lake.select(&claimed).await.into_iter().map(|row| row[0].clone());
    let denied = Denied {
        request: request.to_owned(),
        reason: Reason::Revocation,
        since: 1,
        subjects: BTreeSet::from([subject]),
        devices: devices.filter(|device| device != "NULL").collect(),
    };
    site.lake.app.deny.add(&[denied]).await.unwrap();
}

/// URLs of all files of all tables, for an analyst.
async fn urls(site: &Site) -> BTreeMap<&'static str, Vec<String>> {
    let mut urls = BTreeMap::new();
    for table in DERIVED {
        let files = site.files(Role::Analyst, table, json!({})).await;
        let of = files.iter().map(|file| file["url"].as_str().unwrap().to_owned());
        urls.insert(table.1, of.collect());
    }
    urls
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_denied_is_given_by_no_url_and_no_answer() {
    let site = Site::new().await;
    let before = versions(&site.lake).await;
    let handed_out = urls(&site).await;
    for url in handed_out.values().flatten() {
        assert_eq!(site.fetch(url).await.status, 200);
    }
    deny(&site, "r1", "ada").await;
    let subject = site.lake.subject("ada@example.com").await;
    let devices =
        "SELECT DISTINCT serialnumber FROM customer_landing WHERE email = 'ada@example.com'";
    let devices = site.lake.select(devices).await;
    let (mut kept_back, mut given) = (0, 0);
    for (table, urls) in &handed_out {
        for url in urls {
            let answer = site.fetch(url).await;
            if answer.status == 200 {
                // A file that is known to hold none of these rows.
                let (names, rows) = super::rows(&answer.body);
                let by_device =
                    ["step_trainer_trusted", "machine_learning_curated"].contains(table);
                for row in rows {
                    for (name, cell) in names.iter().zip(&row) {
                        assert!(name != "subject_id" || *cell != subject, "{table}");
                        let theirs =
                            name == "serialnumber" && devices.iter().any(|it| it[0] == *cell);
                        assert!(!(by_device && theirs), "{table}");
                    }
                }
                given += 1;
                continue;
            }
            assert_eq!(refused(&answer), (503, "consent_changed".into()), "{table}");
            assert_eq!(answer.header("retry-after"), "1");
            assert_eq!(site.fetch_as(reqwest::Method::HEAD, url, &[]).await.status, 503);
            kept_back += 1;
        }
    }
    println!("{kept_back} files are kept back, {given} are given");
    assert!(kept_back >= DERIVED.len(), "{kept_back}");
    for table in DERIVED {
        for body in [json!({}), json!({ "version": before[table.1] })] {
            let answer = site.query(Role::Analyst, table, body).await;
            assert_eq!(refused(&answer), (503, "consent_changed".into()), "{table:?}");
        }
        let changes = format!("{}/changes?startingVersion=0", table_path(table.0, table.1));
        let changes = site.get(Role::Analyst, &changes).await;
        assert_eq!(refused(&changes), (503, "consent_changed".into()), "{table:?}");
    }

    // Promoted, the newest versions are without them, and are given; older ones are not.
    site.lake.revoke(&[("r1", "ada@example.com", i64::MAX / 2)]).await;
    site.lake.promote().await;
    let after = versions(&site.lake).await;
    let requests = BTreeSet::from(["r1".to_owned()]);
    let gone = after.iter().map(|(table, version)| ((*table).to_owned(), *version)).collect();
    site.lake.app.deny.gone(&requests, &gone).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    for table in DERIVED {
        for file in site.files(Role::Analyst, table, json!({})).await {
            let answer = site.fetch(file["url"].as_str().unwrap()).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let (_, rows) = super::rows(&answer.body);
            assert!(!rows.iter().flatten().any(|cell| *cell == subject), "{table:?}");
        }
        let old = json!({ "version": before[table.1] });
        let old = site.query(Role::Analyst, table, old).await;
        assert_eq!(refused(&old), (503, "consent_changed".into()), "{table:?}");
        // The change that took their rows away has them too.
        let changes =
            format!("{}/changes?startingVersion={}", table_path(table.0, table.1), after[table.1]);
        let changes = site.get(Role::Analyst, &changes).await;
        assert_eq!(refused(&changes), (503, "consent_changed".into()), "{table:?}");
    }
    let mut still = 0;
    for url in handed_out.values().flatten() {
        still += u32::from(site.fetch(url).await.status == 503);
    }
    assert_eq!(still, kept_back as u32);
}

/// The whole way: a URL that was handed out before a revocation, while it goes on, and after its purge.
#[tokio::test(flavor = "multi_thread")]
async fn a_purge_leaves_nothing_of_a_url() {
    const QUICK: &str = "[consent]\ngrace_seconds = 0\nlease_seconds = 2\n[maintenance]\nevery_seconds = 0\n[lake]\nstaleness_ms = 0\n";
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path(), QUICK).await;
    let admin = serving.token(Role::Admin, "admin");
    let post =
        |path: String| serving.http.post(format!("{}{path}", serving.url)).bearer_auth(&admin);
    let customers = ["leaves", "stays"].map(|name| {
        json!({ "email": format!("{name}@share"), "serialNumber": format!("device-of-{name}"),
            "customerName": format!("Name Of {name}"), "birthDay": format!("1970-{name}"),
            "registrationDate": 10, "lastUpdateDate": 10, "shareWithResearchAsOfDate": 10 })
        .to_string()
    });
    let readings = ["leaves", "stays"].map(|name| {
        json!({ "user": format!("{name}@share"), "timestamp": 20, "x": 1, "y": 1, "z": 1 })
            .to_string()
    });
    for (table, text) in [("customer_landing", customers), ("accelerometer_landing", readings)] {
        let load = answered(post(format!("/v1/landing/{table}")).body(text.join("\n"))).await;
        assert_eq!(load.status, 200, "{}", load.text());
    }
    let promote = || async {
        let run = post("/v1/promotions".to_owned()).header("prefer", "wait=60").json(&json!({}));
        let run = answered(run).await;
        assert_eq!(run.json()["state"], "succeeded", "{}", run.text());
    };
    promote().await;
    let tables = [DERIVED[0], DERIVED[1], DERIVED[2]];
    let mut urls = Vec::new();
    for (zone, table) in tables {
        let answer =
            answered(post(format!("{}/query", table_path(zone, table))).json(&json!({}))).await;
        let files = files(&answer);
        assert!(!files.is_empty(), "{table}");
        urls.extend(files.into_iter().map(|file| file["url"].as_str().unwrap().to_owned()));
    }
    let sql = json!({ "sql": "SELECT max(subject_id) FROM customer_landing WHERE email = 'leaves@share'" });
    let subject = answered(post("/v1/sql".to_owned()).json(&sql)).await.json();
    let subject = subject["rows"][0][0].as_str().unwrap().to_owned();
    // A table may be in two files, and then each has one of the two: hers are meant.
    let mut hers = Vec::new();
    for url in urls {
        let file = answered(serving.http.get(&url)).await;
        assert_eq!(file.status, 200);
        if format!("{:?}", super::rows(&file.body)).contains(&subject) {
            hers.push(url);
        }
    }
    let urls = hers;
    assert_eq!(urls.len(), tables.len());
    let body = json!({ "email": "leaves@share", "reason": "asked for it" });
    let asked = answered(post("/v1/revocations".to_owned()).json(&body)).await;
    let asked: Value = asked.json();
    let id = asked["id"].as_str().unwrap().to_owned();
    assert!(asked["acknowledged"].is_i64() || asked["acknowledged"].is_string(), "{asked}");
    // From the acknowledgement on.
    for url in &urls {
        let answer = answered(serving.http.get(url)).await;
        assert!([404, 410, 503].contains(&answer.status), "{}", answer.status);
    }
    let started = std::time::Instant::now();
    loop {
        let revocation = serving.json(&format!("/v1/revocations/{id}")).await;
        match revocation["state"].as_str().unwrap() {
            "succeeded" => break,
            "failed" | "cancelled" => panic!("{revocation}"),
            _ => assert!(started.elapsed().as_secs() < 60, "{revocation}"),
        }
        for url in &urls {
            let answer = answered(serving.http.get(url)).await;
            assert!([404, 410, 503].contains(&answer.status), "{}", answer.status);
        }
    }
    for url in &urls {
        let answer = answered(serving.http.get(url)).await;
        assert!([404, 410].contains(&answer.status), "{}", answer.status);
    }
    // Whoever stays is shared.
    for (zone, table) in tables {
        let answer =
            answered(post(format!("{}/query", table_path(zone, table))).json(&json!({}))).await;
        for file in files(&answer) {
            let file = answered(serving.http.get(file["url"].as_str().unwrap())).await;
            assert_eq!(file.status, 200, "{}", file.text());
            assert_eq!(super::rows(&file.body).1.len(), 1, "{table}");
        }
    }
}
