//! What is there for whom.

use stedi_server::auth::Role;

use super::{Site, refused, table_path};
use crate::support::{Answered, answered};

fn items(answer: &Answered) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let items = answer.json()["items"].as_array().unwrap().clone();
    items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_finds_what_it_reads() {
    let site = Site::new().await;
    let all = [
        "customer_curated",
        "machine_learning_curated",
        "accelerometer_trusted",
        "customer_trusted",
        "step_trainer_trusted",
    ];
    let share = "/sharing/shares/stedi";
    for (role, schemas, tables) in [
        (Role::Analyst, &["curated", "trusted"][..], &all[..]),
        (Role::Admin, &["curated", "trusted"], &all),
        (Role::Trainer, &["curated"], &all[..2]),
    ] {
        assert_eq!(items(&site.get(role, "/sharing/shares").await), ["stedi"]);
        assert_eq!(items(&site.get(role, &format!("{share}/schemas")).await), schemas);
        assert_eq!(items(&site.get(role, &format!("{share}/all-tables")).await), tables);
        let one = site.get(role, "/sharing/shares/STEDI").await.json();
        assert_eq!(one["share"]["name"], "stedi");
        let curated = site.get(role, &format!("{share}/schemas/Curated/tables")).await;
        assert_eq!(items(&curated), all[..2]);
    }
    // Neither landing nor the service's own tables, not even for an admin.
    for (zone, table) in [
        ("landing", "customer_landing"),
        ("system", "audit"),
        ("trusted", "customer_landing"),
        ("curated", "customer_trusted"),
    ] {
        let path = format!("{}/metadata", table_path(zone, table));
        assert_eq!(refused(&site.get(Role::Admin, &path).await).0, 404, "{path}");
    }
    let trusted = format!("{}/metadata", table_path("trusted", "customer_trusted"));
    assert_eq!(refused(&site.get(Role::Trainer, &trusted).await), (404, "not_found".into()));
    let missing = format!("{}/metadata", table_path("curated", "nothing"));
    let missing = refused(&site.get(Role::Trainer, &missing).await);
    assert_eq!(missing, (404, "table_not_found".into()));
    for path in ["/sharing/shares/other/schemas", "/sharing/other"] {
        assert_eq!(refused(&site.get(Role::Analyst, path).await), (404, "not_found".into()));
    }
    assert_eq!(refused(&site.get(Role::Ingest, "/sharing/shares").await).0, 403);
    let nobody = site.server.request(reqwest::Method::GET, "/sharing/shares", None);
    let nobody = answered(nobody).await;
    assert_eq!(refused(&nobody), (401, "token_missing".into()));
    assert!(!nobody.header("www-authenticate").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_come_in_pages() {
    let site = Site::new().await;
    let (mut found, mut token) = (Vec::new(), String::new());
    for _ in 0..3 {
        let path = format!("/sharing/shares/stedi/all-tables?maxResults=2&pageToken={token}");
        let page = site.get(Role::Analyst, &path).await;
        found.extend(items(&page));
        token = page.json()["nextPageToken"].as_str().unwrap_or_default().to_owned();
    }
    assert_eq!((found.len(), token.as_str()), (5, ""));
    let path = "/sharing/shares/stedi/all-tables?maxResults=many";
    assert_eq!(refused(&site.get(Role::Analyst, path).await), (400, "malformed".into()));
}
