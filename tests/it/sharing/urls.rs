//! URLs of files end, and are nobody else's to make.

use std::time::Duration;

use serde_json::json;
use stedi_server::auth::Role;
use stedi_server::config::SharingConfig;

use super::{DERIVED, Site, records, refused};
use crate::support::TestLake;

#[tokio::test(flavor = "multi_thread")]
async fn a_url_ends_with_its_time() {
    let site = Site::with(SharingConfig { url_seconds: 5, ..SharingConfig::default() }).await;
    let file = site.files(Role::Trainer, DERIVED[4], json!({})).await.remove(0);
    let url = file["url"].as_str().unwrap();
    assert_eq!(site.fetch(url).await.status, 200);
    let until = file["expirationTimestamp"].as_i64().unwrap();
    let left = until - chrono::Utc::now().timestamp_millis();
    assert!((0..=5000).contains(&left), "{left}");
    tokio::time::sleep(Duration::from_millis(left as u64 + 100)).await;
    assert_eq!(refused(&site.fetch(url).await), (403, "url_invalid".into()));
    let denied = records(&site, "denied").await;
    assert_eq!(denied[0]["resource"], "GET /sharing/files/{token}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_server_makes_one() {
    let site = Site::new().await;
    let file = site.files(Role::Trainer, DERIVED[4], json!({})).await.remove(0);
    let url = file["url"].as_str().unwrap();
    // Those of another lake, which has another key.
    let other = TestLake::filled().await;
    let other = crate::support::TestServer::start(&other.config).await;
    let path = url.strip_prefix(&site.server.url).unwrap();
    let elsewhere = crate::support::answered(other.request(reqwest::Method::GET, path, None)).await;
    assert_eq!(refused(&elsewhere), (403, "url_invalid".into()));
    let middle = url.len() - 30;
    let (a, b) = (&url[..middle], &url[middle + 1..]);
    let letter = if &url[middle..=middle] == "A" { "B" } else { "A" };
    for wrong in [format!("{a}{letter}{b}"), format!("{url}A"), url[..url.len() - 1].to_owned()] {
        assert_eq!(refused(&site.fetch(&wrong).await), (403, "url_invalid".into()), "{wrong}");
    }
    for nothing in ["x", "a.b", "%2e%2e%2f"] {
        let url = format!("{}/sharing/files/{nothing}", site.server.url);
        assert_eq!(refused(&site.fetch(&url).await), (403, "url_invalid".into()), "{nothing}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn urls_begin_where_clients_are_told_to_come() {
    let url = Some("https://lake.example.com/".to_owned());
    let site = Site::with(SharingConfig { url, ..SharingConfig::default() }).await;
    let file = site.files(Role::Trainer, DERIVED[4], json!({})).await.remove(0);
    let url = file["url"].as_str().unwrap();
    assert!(url.starts_with("https://lake.example.com/sharing/files/"), "{url}");
}
