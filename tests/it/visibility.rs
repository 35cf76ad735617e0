//! Nobody reads what their role does not give them, by any route (invariant 5).
//!
//! Every PII column holds a canary. For each role, table and column, and each way of asking for it,
//! the whole answer (status, headers, body) is searched. The policy is written down here a second
//! time, from the contract, so that a wrong declaration shows as well as a wrong implementation.

mod site;
mod ways;

use std::collections::BTreeSet;

use futures::StreamExt;
use reqwest::Method;
use serde_json::Value;
use stedi_server::pipeline::{Class, Declared};

use crate::support::TestLake;
use site::{Asker, FORMATS, Site, Told, askers, served};
use ways::{Gives, WAYS};

/// Requests that are under way at one time.
const AT_ONCE: usize = 6;

/// A column of the table that everybody sees who sees the table.
fn open_column(table: &Declared) -> &str {
    let plain = table.columns.iter().find(|column| column.class == Class::Plain);
    &plain.unwrap().name
}

fn written(way: &str, table: &Declared, column: &str) -> String {
    // Of the columns that an alias list would name, the last one is the one that is asked for.
    let place = table.columns.iter().position(|other| other.name == column).unwrap();
    let aliases: Vec<String> = (0..table.columns.len())
        .map(|at| if at == place { "b".to_owned() } else { format!("c{at}") })
        .collect();
    let misspelt = format!("{}s", &column[..column.len() - 1]);
    // `user` is a word of SQL too.
    way.replace("{aliases}", &aliases.join(", "))
        .replace("{t}", &table.name)
        .replace("{z}", table.zone.name())
        .replace("{c}", column)
        .replace("{C}", &column.to_uppercase())
        .replace("{x}", &misspelt)
        .replace("{p}", open_column(table))
}

/// Tables, and the columns of theirs that are asked for: all PII, and one of each other class.
fn asked_columns(lake: &TestLake) -> Vec<(Declared, String, Class)> {
    let mut asked = Vec::new();
    for table in lake.app.pipeline.tables() {
        let mut seen = BTreeSet::new();
        for column in &table.columns {
            if column.class == Class::Pii || seen.insert(column.class) {
                asked.push((table.clone(), column.name.clone(), column.class));
            }
        }
    }
    asked
}

#[tokio::test(flavor = "multi_thread")]
async fn no_way_of_asking_shows_what_is_not_there_for_a_role() {
    let (lake, _server, site) = served().await;
    let askers = askers(&lake.config);
    let columns = asked_columns(&lake);
    assert_eq!(columns.iter().filter(|(_, _, class)| *class == Class::Pii).count(), 19);
    let mut asked = Vec::new();
    for (at, (table, column, class)) in columns.iter().enumerate() {
        for (number, (gives, way)) in WAYS.iter().enumerate() {
            // A way that does not name the column is the same for all of a table's columns.
            let once = column == &table.columns[0].name;
            if matches!(gives, Gives::Answer | Gives::Either) && !once {
                continue;
            }
            // All ways for the first column of each class; its others share them out.
            let first = table.columns.iter().find(|other| other.class == *class).unwrap();
            let share = at % 4 == number % 4;
            if first.name != *column && !once && !share {
                continue;
            }
            if *class != Class::Pii && number >= 12 && !once {
                continue;
            }
            for asker in &askers {
                // Who is refused is so before the statement is looked at.
                if asker.refused.is_some() && number % 16 != 0 {
                    continue;
                }
                asked.push((asker, table, *class, *gives, written(way, table, column)));
            }
        }
    }
    let count = asked.len();
    let site = &site;
    let told = futures::stream::iter(asked).map(|(asker, table, class, gives, sql)| async move {
        let told = site.sql(asker, &sql, FORMATS[0]).await;
        (asker, table, class, gives, sql, told)
    });
    let told: Vec<_> = told.buffer_unordered(AT_ONCE).collect().await;
    let mut faults = Vec::new();
    let (mut refused, mut shown) = (0, 0);
    for (asker, table, class, gives, sql, told) in &told {
        let mut fault = |what: String| {
            let text: String = told.text.chars().take(300).collect();
            faults.push(format!("{}: {sql}\n    {what}: {} {text}", asker.name, told.status));
        };
        if !asker.pii
            && let Some(leak) = told.leak(sql)
        {
            fault(format!("LEAK of {leak}"));
        }
        let expected: &[u16] = match (asker.refused, asker.sees_table(table)) {
            (Some(status), _) => &[status],
            (None, false) => &[404],
            // Misspelt, a column is there for nobody.
            (None, true) => match (gives, asker.sees(table, *class)) {
                (Gives::Answer, _) => &[200],
                (Gives::ColumnOrError, true) => &[200],
                (Gives::ColumnOrError | Gives::NothingOrError, false) => &[422],
                (Gives::NothingOrError, true) | (Gives::Either, _) => &[200, 422],
            },
        };
        let not_there = *gives == Gives::NothingOrError && told.status == 404;
        if !not_there && !expected.contains(&told.status) {
            fault(format!("not {expected:?}"));
        }
        match told.status {
            200 => shown += 1,
            _ => refused += 1,
        }
        if told.status >= 500 {
            fault("a fault of the server".to_owned());
        }
    }
    println!("{count} requests, {shown} answered, {refused} refused");
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_format_and_route_keeps_to_it() {
    let (lake, _server, site) = served().await;
    let askers = askers(&lake.config);
    let admin = askers.last().unwrap();
    for table in lake.app.pipeline.tables() {
        let sql = format!("SELECT * FROM {}", table.name);
        let pii = table.columns.iter().any(|column| column.class == Class::Pii);
        for asker in &askers {
            let who = format!("{} {}", asker.name, table.name);
            let status = asker.refused.unwrap_or(if asker.sees_table(&table) { 200 } else { 404 });
            for format in FORMATS {
                let told = site.sql(asker, &sql, format).await;
                assert_eq!(told.status, status, "{who} {format}: {}", told.text);
                match asker.pii {
                    // That the canaries are there at all is what all of this relies on.
                    true => assert_eq!(told.canary(), pii, "{who} {format}: {}", told.text),
                    false => assert_eq!(told.leak(&sql), None, "{who} {format}: {}", told.text),
                }
            }
            kept(&site, asker, &sql, status, pii).await;
            let quoted = format!("/v1/tables/{}", table.name);
            for path in [quoted.clone(), format!("{quoted}/history")] {
                let told = site.get(asker, &path).await;
                assert_eq!(told.status, status, "{who} {path}: {}", told.text);
                // What the catalog says of PII are names of columns, never values.
                assert!(!told.canary(), "{who} {path}: {}", told.text);
                if !asker.pii {
                    assert_eq!(told.leak(&path), None, "{who} {path}: {}", told.text);
                }
            }
        }
    }
    for asker in &askers {
        for path in ["/v1/tables", "/v1/limits", "/metrics", "/healthz", "/readyz", "/openapi.json"]
        {
            let told = site.get(asker, path).await;
            assert!(!told.canary(), "{} {path}", asker.name);
            if path.starts_with("/v1") {
                assert_eq!(told.status, asker.refused.unwrap_or(200), "{} {path}", asker.name);
                assert!(asker.pii || told.leak(path).is_none(), "{} {path}", asker.name);
            }
        }
        for schema in ["columns", "tables", "views", "schemata", "routines", "parameters"] {
            let told = site
                .sql(asker, &format!("SELECT * FROM information_schema.{schema}"), FORMATS[2])
                .await;
            assert_eq!(told.status, asker.refused.unwrap_or(200), "{} {schema}", asker.name);
            assert!(!told.canary(), "{} {schema}", asker.name);
            let hidden = told.leak("").is_some() || told.text.contains("_landing");
            assert!(asker.pii || !hidden, "{} {schema}: {}", asker.name, told.text);
            assert!(!asker.pii || schema != "columns" || told.text.contains("customer_landing"));
        }
    }
    let told = site.sql(admin, "SELECT max(email) FROM customer_landing", FORMATS[0]).await;
    assert!(told.text.contains("canary3@x.org"), "{}", told.text);
}

/// The same as a statement that runs by itself, and that somebody else looks at.
async fn kept(site: &Site, asker: &Asker, sql: &str, status: u16, pii: bool) {
    let who = format!("{} {sql}", asker.name);
    let headers = [("content-type", "text/plain"), ("prefer", "wait=60")];
    let begun = site.send(asker, Method::POST, "/v1/statements", &headers, sql.to_owned()).await;
    assert!(!begun.canary(), "{who}: {}", begun.text);
    assert!(asker.pii || begun.leak(sql).is_none(), "{who}: {}", begun.text);
    if let Some(refused) = asker.refused {
        assert_eq!(begun.status, refused, "{who}: {}", begun.text);
        return;
    }
    let info: Value = serde_json::from_str(&begun.text).unwrap();
    let succeeded = info["state"] == "succeeded";
    assert_eq!(succeeded, status == 200, "{who}: {info}");
    assert!(succeeded || info["error"]["status"] == status, "{who}: {info}");
    let path = format!("/v1/statements/{}", info["id"].as_str().unwrap());
    for format in FORMATS {
        let result = format!("{path}/result?chunk=0");
        let headers = [("accept", format)];
        let told = site.send(asker, Method::GET, &result, &headers, String::new()).await;
        assert_eq!(told.status == 200, succeeded, "{who} {format}: {}", told.text);
        match asker.pii {
            true => assert_eq!(told.canary(), pii, "{who} {format}"),
            false => assert_eq!(told.leak(sql), None, "{who} {format}: {}", told.text),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_gets_everything_that_is_there_for_it() {
    let (lake, _server, site) = served().await;
    let askers = askers(&lake.config);
    let admin = askers.last().unwrap();
    let rows = async |asker: &Asker, sql: &str| -> Value {
        let told = site.sql(asker, sql, FORMATS[0]).await;
        assert_eq!(told.status, 200, "{} {sql}: {}", asker.name, told.text);
        serde_json::from_str::<Value>(&told.text).unwrap()["rows"].clone()
    };
    for table in lake.app.pipeline.tables() {
        for asker in askers.iter().filter(|asker| asker.sees_table(&table)) {
            let mut names = Vec::new();
            for column in &table.columns {
                if !asker.sees(&table, column.class) {
                    continue;
                }
                names.push(column.name.clone());
                let sql = format!("SELECT \"{0}\" FROM {1} ORDER BY 1", column.name, table.name);
                let seen = rows(asker, &sql).await;
                assert_eq!(seen, rows(admin, &sql).await, "{} {sql}", asker.name);
                assert!(!seen.as_array().unwrap().is_empty(), "{sql}");
                let value = seen.as_array().unwrap().iter().any(|row| !row[0].is_null());
                let may_miss = ["sharewithpublicasofdate", "sharewithfriendsasofdate"];
                let missing = may_miss.contains(&column.name.as_str())
                    || (column.name == "serialnumber" && table.name == "accelerometer_landing")
                    || (column.name == "subject_id" && table.name.starts_with("step_trainer"));
                assert!(value || missing, "{sql} gives nothing");
            }
            let told = site.sql(asker, &format!("SELECT * FROM {}", table.name), FORMATS[0]).await;
            let told: Value = serde_json::from_str(&told.text).unwrap();
            let columns: Vec<&str> = told["columns"]
                .as_array()
                .unwrap()
                .iter()
                .map(|it| it["name"].as_str().unwrap())
                .collect();
            assert_eq!(columns, names, "{} {}", asker.name, table.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_somebody_elses_stays_theirs() {
    let (lake, _server, site) = served().await;
    let askers = askers(&lake.config);
    let admin = askers.last().unwrap();
    let sql = "SELECT * FROM customer_trusted";
    let headers = [("content-type", "text/plain"), ("prefer", "wait=60")];
    let begun = site.send(admin, Method::POST, "/v1/statements", &headers, sql.to_owned()).await;
    let info: Value = serde_json::from_str(&begun.text).unwrap();
    let path = format!("/v1/statements/{}", info["id"].as_str().unwrap());
    for asker in &askers[..askers.len() - 1] {
        let expected = asker.refused.unwrap_or(404);
        for path in [path.clone(), format!("{path}/result"), format!("{path}/result?chunk=0")] {
            let told = site.get(asker, &path).await;
            assert_eq!((told.status, told.leak(&path)), (expected, None), "{} {path}", asker.name);
        }
        let cancel = format!("{path}/cancel");
        let told = site.send(asker, Method::POST, &cancel, &[], String::new()).await;
        assert_eq!((told.status, told.leak(&path)), (expected, None), "{} cancels", asker.name);
    }
    // A tag of what an admin saw says nothing of what others see.
    let answer = site.http.post(format!("{}/v1/sql", site.url)).body(sql);
    let answer = answer.header("content-type", "text/plain");
    let answer = answer.bearer_auth(admin.token.as_ref().unwrap()).send().await.unwrap();
    let tag = answer.headers()["etag"].to_str().unwrap().to_owned();
    for (asker, expected) in [(admin, 304), (&askers[4], 200), (&askers[5], 404)] {
        let headers = [("content-type", "text/plain"), ("if-none-match", tag.as_str())];
        let told = site.send(asker, Method::POST, "/v1/sql", &headers, sql.to_owned()).await;
        assert_eq!(told.status, expected, "{}", asker.name);
        assert!(asker.pii || told.leak(sql).is_none(), "{}", asker.name);
    }
}

/// A table that is hidden and one that was never there are told apart by nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_table_is_like_one_that_is_not_there() {
    let (lake, _server, site) = served().await;
    let askers = askers(&lake.config);
    let names = lake.app.pipeline.tables();
    let system = ["audit", "statements", "deny", "loads"];
    for asker in askers.iter().filter(|asker| asker.refused.is_none() && !asker.pii) {
        let hidden = names.iter().filter(|table| !asker.sees_table(table));
        let hidden = hidden.map(|table| (table.zone.name(), table.name.as_str()));
        for (zone, name) in hidden.chain(system.map(|name| ("system", name))) {
            let never = "x".repeat(name.len());
            for way in [
                "SELECT * FROM {t}",
                "SELECT * FROM {z}.{t}",
                "SELECT * FROM stedi.{z}.{t}",
                "SELECT a.b FROM {t} AS a",
                "SELECT * FROM {t} VERSION AS OF 0",
                "SELECT * FROM {t} VERSION AS OF 999",
                "SELECT * FROM {t} TIMESTAMP AS OF '1970-01-01'",
                "SELECT 1 FROM machine_learning_curated WHERE EXISTS (SELECT 1 FROM {t})",
                "EXPLAIN SELECT * FROM {t}",
            ] {
                let sql = |name: &str| way.replace("{t}", name).replace("{z}", zone);
                let told = site.sql(asker, &sql(name), FORMATS[0]).await;
                let other = site.sql(asker, &sql(&never), FORMATS[0]).await;
                let text = |told: &Told, name: &str| {
                    let mut body: Value = serde_json::from_str(&told.text).unwrap();
                    body.as_object_mut().unwrap().remove("request_id");
                    body.to_string().replace(name, "{t}")
                };
                assert_eq!(told.status, 404, "{} {}: {}", asker.name, sql(name), told.text);
                assert_eq!(text(&told, name), text(&other, &never), "{} {}", asker.name, sql(name));
            }
            for path in ["/v1/tables/{t}", "/v1/tables/{t}/history"] {
                let told = site.get(asker, &path.replace("{t}", name)).await;
                assert_eq!(told.status, 404, "{} {path} {name}", asker.name);
            }
        }
    }
}
