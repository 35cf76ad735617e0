//! Who cannot look at the list gives nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use stedi_server::auth::Role;

use super::Site;
use crate::support::{Fate, Proxy, SeaweedFs, Serving, answered};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_read_the_list_gives_no_row() {
    let site = Site::new().await;
    let server = &site.servers[0];
    let sql = "SELECT count(*) FROM customer_trusted";
    assert_eq!(server.sql(Role::Analyst, sql).await.status, 200);
    // What is not a folder cannot be looked into.
    let folder = site.lake.root().join("system/deny");
    std::fs::write(&folder, "").unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    for _ in 0..2 {
        let answer = server.sql(Role::Analyst, sql).await;
        assert_eq!(answer.problem(), (503, "consent_unknown".to_owned()));
        assert_eq!(answer.header("retry-after"), "2");
        assert!(!answer.text().contains("system"), "{}", answer.text());
    }
    std::fs::remove_file(&folder).unwrap();
    assert_eq!(server.sql(Role::Analyst, sql).await.status, 200);
    // An object that it does not understand may say anything.
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("00000000000000000001.json"), r#"{"what":"else"}"#).unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    let answer = server.sql(Role::Analyst, sql).await;
    assert_eq!(answer.problem(), (503, "consent_unknown".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(seaweedfs), ignore = "SeaweedFS is not installed; tests/run installs it")]
async fn a_store_that_does_not_tell_in_time_is_not_waited_for() {
    let s3 = SeaweedFs::start();
    let silent = Arc::new(AtomicBool::new(false));
    let rule = Arc::clone(&silent);
    let proxy = Proxy::start(&s3.endpoint(), move |request| {
        match rule.load(Ordering::SeqCst) && request.contains("/system/deny/") {
            true => Fate::Held,
            false => Fate::Passed,
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start_with(folder.path(), "", |command| {
        command.args(["--storage", "s3://lake/l"]).envs(proxy.through(&s3.environment()));
    })
    .await;
    let ask = async || {
        let request = serving.http.post(format!("{}/v1/sql", serving.url));
        let request = request.bearer_auth(serving.token(Role::Analyst, "a"));
        let request = request.header("content-type", "text/plain");
        answered(request.body("SELECT count(*) FROM customer_trusted")).await
    };
    assert_eq!(ask().await.status, 200);
    silent.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(600)).await;
    let began = Instant::now();
    assert_eq!(ask().await.problem(), (503, "consent_unknown".to_owned()));
    assert!(began.elapsed() < Duration::from_secs(20));
    silent.store(false, Ordering::SeqCst);
    assert_eq!(ask().await.status, 200);
}
