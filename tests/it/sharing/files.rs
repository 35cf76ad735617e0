//! Files have the rows of SQL, no hidden column, and are on record.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use stedi_server::auth::Role;

use super::{DERIVED, PII, Site, lines, records, refused, rows, table_path, versions};

/// All rows of a table's files, sorted, with the names of their columns.
async fn shared(
    site: &Site,
    role: Role,
    table: (&str, &str),
    body: serde_json::Value,
) -> (Vec<String>, Vec<Vec<String>>, Vec<u8>) {
    let (mut names, mut all, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
    for file in site.files(role, table, body).await {
        let answer = site.fetch(file["url"].as_str().unwrap()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.body.len() as u64, file["size"].as_u64().unwrap());
        let (of, more) = rows(&answer.body);
        assert_eq!(file["stats"], format!("{{\"numRecords\":{}}}", more.len()));
        names = of;
        all.extend(more);
        bytes.extend(answer.body);
    }
    all.sort();
    (names, all, bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn files_have_the_rows_of_sql_and_no_personal_data() {
    let site = Site::new().await;
    let personal =
        site.lake.select("SELECT customername, email, phone, birthday FROM customer_landing").await;
    let personal: BTreeSet<String> = personal.into_iter().flatten().collect();
    let personal: Vec<&String> = personal.iter().filter(|text| text.len() > 4).collect();
    assert!(personal.len() > 5, "{personal:?}");
    for role in [Role::Analyst, Role::Admin, Role::Trainer] {
        for table in DERIVED {
            if role == Role::Trainer && table.0 == "trusted" {
                continue;
            }
            let metadata =
                site.get(role, &format!("{}/metadata", table_path(table.0, table.1))).await;
            let version = versions(&site.lake).await[table.1].to_string();
            assert_eq!(metadata.header("delta-table-version"), version);
            let schema = lines(&metadata)[1]["metaData"]["schemaString"].clone();
            let schema: serde_json::Value = serde_json::from_str(schema.as_str().unwrap()).unwrap();
            let fields = schema["fields"].as_array().unwrap().iter();
            let told: Vec<&str> = fields.map(|field| field["name"].as_str().unwrap()).collect();

            let (names, found, bytes) = shared(&site, role, table, json!({})).await;
            assert_eq!(names, told, "{table:?}");
            let columns = names.join(", ");
            let expected = site.lake.sorted(&format!("SELECT {columns} FROM {}", table.1)).await;
            assert!(!expected.is_empty());
            assert_eq!(found, expected, "{table:?}");
            // An analyst's SQL has the same columns.
            let sql = format!("SELECT * FROM {} LIMIT 1", table.1);
            let seen = site.server.sql(Role::Analyst, &sql).await.json()["columns"].clone();
            let seen = seen.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap());
            assert_eq!(seen.collect::<BTreeSet<_>>(), told.iter().copied().collect());
            // Neither names nor values of other columns, in rows or bytes.
            assert!(names.iter().all(|name| !PII.contains(&name.as_str())), "{names:?}");
            let text = String::from_utf8_lossy(&bytes);
            assert!(["customername", "birthday"].iter().all(|name| !text.contains(name)));
            for value in &personal {
                assert!(!text.contains(value.as_str()), "{value}");
                assert!(!found.iter().flatten().any(|cell| cell.contains(value.as_str())));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_given_in_parts() {
    let site = Site::new().await;
    // One that is as it lies in the lake, and one that is made.
    for table in [DERIVED[4], DERIVED[0]] {
        let file = site.files(Role::Analyst, table, json!({})).await.remove(0);
        let url = file["url"].as_str().unwrap();
        let whole = site.fetch(url).await;
        let (tag, size) = (whole.header("etag").to_owned(), whole.body.len());
        assert_eq!(whole.header("accept-ranges"), "bytes");
        assert_eq!(whole.header("content-length"), size.to_string());
        assert_eq!(whole.header("content-type"), "application/vnd.apache.parquet");
        assert_eq!(whole.header("content-encoding"), "");
        let head = site.fetch_as(Method::HEAD, url, &[("range", "bytes=0-1")]).await;
        assert_eq!((head.status, head.header("content-length")), (200, size.to_string().as_str()));
        let part = site.fetch_as(Method::GET, url, &[("range", "bytes=4-99")]).await;
        assert_eq!((part.status, part.body.as_slice()), (206, &whole.body[4..100]));
        assert_eq!(part.header("content-range"), format!("bytes 4-99/{size}"));
        let last = site.fetch_as(Method::GET, url, &[("range", "bytes=-8")]).await;
        assert_eq!((last.status, last.body.as_slice()), (206, &whole.body[size - 8..]));
        let same = [("range", "bytes=0-3"), ("if-range", tag.as_str())];
        assert_eq!(site.fetch_as(Method::GET, url, &same).await.body, b"PAR1");
        let other = [("range", "bytes=0-3"), ("if-range", "\"other\"")];
        assert_eq!(site.fetch_as(Method::GET, url, &other).await.body, whole.body);
        let known = site.fetch_as(Method::GET, url, &[("if-none-match", &tag)]).await;
        assert_eq!((known.status, known.body.len(), known.header("etag")), (304, 0, tag.as_str()));
        let beyond = format!("bytes={size}-");
        let beyond = site.fetch_as(Method::GET, url, &[("range", &beyond)]).await;
        assert_eq!(refused(&beyond), (416, "range_not_satisfiable".into()));
        assert_eq!(beyond.header("content-range"), format!("bytes */{size}"));
        let two = site.fetch_as(Method::GET, url, &[("range", "bytes=0-1,4-5")]).await;
        assert_eq!((two.status, two.body.len()), (200, size));
        // Made anew by another server, it is the same.
        let again = crate::support::TestServer::start(&site.lake.config).await;
        let path = url.strip_prefix(&site.server.url).unwrap();
        let again = crate::support::answered(again.request(Method::GET, path, None)).await;
        assert_eq!((again.header("etag"), &again.body), (tag.as_str(), &whole.body));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_limits_and_what_is_asked_wrongly() {
    let site = Site::new().await;
    let table = DERIVED[4];
    let before = versions(&site.lake).await[table.1];
    let old = site.lake.sorted("SELECT * FROM machine_learning_curated").await;
    // More rows, for a second version.
    let more = r#"{"user":"ada@example.com","timestamp":5000,"x":2,"y":2,"z":2}"#;
    site.lake.load("accelerometer_landing", more).await;
    let step = r#"{"sensorReadingTime":5000,"serialNumber":"d1","distanceFromObject":9}"#;
    site.lake.load("step_trainer_landing", step).await;
    site.lake.promote().await;
    let now = site.lake.sorted("SELECT * FROM machine_learning_curated").await;
    assert_ne!(old, now);
    assert_eq!(shared(&site, Role::Trainer, table, json!({})).await.1, now);
    let past = json!({ "version": before });
    assert_eq!(shared(&site, Role::Trainer, table, past.clone()).await.1, old);
    let answer = site.query(Role::Trainer, table, past).await;
    assert_eq!(answer.header("delta-table-version"), before.to_string());
    // A hint of how many rows are enough: fewer files, never too few rows.
    let all = site.files(Role::Trainer, table, json!({})).await.len();
    let some = site.files(Role::Trainer, table, json!({ "limitHint": 1 })).await.len();
    assert!(some == 1 && all > 1, "{some} of {all}");
    let none = site.files(Role::Trainer, table, json!({ "limitHint": 0 })).await.len();
    assert_eq!(none, 0);
    // Hints are hints.
    let hints = json!({ "predicateHints": ["x = 99"], "jsonPredicateHints": "{}", "unknown": 1 });
    assert_eq!(site.files(Role::Trainer, table, hints).await.len(), all);
    // Those that say something leave files out, and no row that is asked for.
    let column = |name: &str| json!({ "op": "column", "name": name, "valueType": "long" });
    let value = |value: &str| json!({ "op": "literal", "value": value, "valueType": "long" });
    let time = column("sensorReadingTime");
    let late = json!({ "op": "greaterThanOrEqual", "children": [&time, value("5000")] });
    let never = json!({ "op": "lessThan", "children": [value("5000"), &time] });
    let null = json!({ "op": "isNull", "children": [&time] });
    let unknown = json!({ "op": "startsWith", "children": [&time, value("1")] });
    let hidden = json!({ "op": "equal", "children": [column("email"), value("nobody")] });
    let either = |nodes: [&Value; 2]| json!({ "op": "or", "children": nodes });
    let both = |nodes: [&Value; 2]| json!({ "op": "and", "children": nodes });
    for (hints, expected) in [
        (&late, 1),
        (&json!({ "op": "equal", "children": [&time, value("5000")] }), 1),
        (&never, 0),
        (&null, 0),
        (&unknown, all),
        (&json!({ "op": "not", "children": [&late] }), all),
        (&either([&never, &late]), 1),
        (&either([&unknown, &late]), all),
        (&both([&unknown, &late]), 1),
        (&both([&never, &late]), 0),
        (&json!({ "op": "equal", "children": [&time, value("soon")] }), all),
    ] {
        let hints = json!({ "jsonPredicateHints": hints.to_string() });
        let found = site.files(Role::Trainer, table, hints.clone()).await;
        assert_eq!(found.len(), expected, "{hints}");
    }
    let hints = json!({ "jsonPredicateHints": late.to_string() });
    let (_, rows, _) = shared(&site, Role::Trainer, table, hints).await;
    assert!(
        !rows.is_empty() && rows.iter().all(|row| row.contains(&"5000".to_owned())),
        "{rows:?}"
    );
    // What is in a column that is not given cannot be found out.
    let hints = json!({ "jsonPredicateHints": hidden.to_string() });
    let people = site.files(Role::Trainer, DERIVED[2], json!({})).await.len();
    assert_eq!(site.files(Role::Trainer, DERIVED[2], hints).await.len(), people);

    for (body, expected) in [
        (json!({ "version": 999 }), (422, "no_such_version")),
        (json!({ "timestamp": "2001-01-01T00:00:00Z" }), (422, "no_such_version")),
        (json!({ "timestamp": "yesterday" }), (400, "malformed")),
        (json!({ "version": 1, "timestamp": "2026-01-01T00:00:00Z" }), (400, "malformed")),
        (json!({ "version": -1 }), (400, "malformed")),
        (json!({ "startingVersion": 0 }), (400, "malformed")),
    ] {
        let answer = site.query(Role::Trainer, table, body.clone()).await;
        assert_eq!(refused(&answer), (expected.0, expected.1.to_owned()), "{body}");
    }
    let version = format!("{}/version", table_path(table.0, table.1));
    let newest = versions(&site.lake).await[table.1].to_string();
    assert_eq!(site.get(Role::Trainer, &version).await.header("delta-table-version"), newest);
    let since = format!("{version}?startingTimestamp=2001-01-01T00:00:00Z");
    assert_eq!(site.get(Role::Trainer, &since).await.header("delta-table-version"), "0");
    let since = format!("{version}?startingTimestamp=2101-01-01%2000:00:00");
    assert_eq!(refused(&site.get(Role::Trainer, &since).await), (400, "malformed".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_on_record() {
    let site = Site::new().await;
    let table = DERIVED[4];
    let file = site.files(Role::Trainer, table, json!({})).await.remove(0);
    let whole = site.fetch(file["url"].as_str().unwrap()).await;
    let part = [("range", "bytes=0-9")];
    site.fetch_as(Method::GET, file["url"].as_str().unwrap(), &part).await;
    site.query(Role::Trainer, table, json!({ "version": 999 })).await;
    let version = versions(&site.lake).await[table.1];
    let seen: Vec<_> = records(&site, "share")
        .await
        .iter()
        .rev()
        .map(|it| {
            json!([
                it["resource"],
                it["principal"],
                it["roles"],
                it["outcome"],
                it["code"],
                it["bytes_out"],
                it["tables"][table.1]
            ])
        })
        .collect();
    let (query, get) = ("POST /sharing/…/query", "GET /sharing/files/{token}");
    assert_eq!(
        seen,
        [
            json!([query, "test", "trainer", "ok", null, null, version]),
            json!([get, "test", "trainer", "ok", null, whole.body.len(), version]),
            json!([get, "test", "trainer", "ok", null, 10, version]),
            json!([query, "test", "trainer", "failed", "no_such_version", null, null]),
        ]
    );
}
