//! The list as a log of objects.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Instant;

use stedi_server::ledger::{Denied, Reason};

use super::{another, requests};
use crate::support::TestLake;

fn denied(request: &str) -> Denied {
    Denied {
        request: request.to_owned(),
        reason: Reason::Erasure,
        since: 1,
        subjects: BTreeSet::from([format!("subject-{request}-")]),
        devices: BTreeSet::from([format!("device-{request}-")]),
    }
}

fn objects(lake: &TestLake) -> Vec<PathBuf> {
    let folder = std::fs::read_dir(lake.root().join("system/deny")).unwrap();
    let mut objects: Vec<PathBuf> = folder.map(|file| file.unwrap().path()).collect();
    objects.sort();
    objects
}

fn written(lake: &TestLake) -> String {
    objects(lake).iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_are_one_object_and_are_denied_once() {
    let lake = TestLake::new().await;
    let all: Vec<Denied> = (0..1000).map(|at| denied(&format!("r{at}"))).collect();
    lake.app.deny.add(&all).await.unwrap();
    // Repeated, and with a new one among them.
    lake.app.deny.add(&all).await.unwrap();
    assert_eq!(objects(&lake).len(), 1);
    lake.app.deny.add(&[all[3].clone(), denied("new")]).await.unwrap();
    assert_eq!(objects(&lake).len(), 2);
    let list = another(&lake).await.deny.current().await.unwrap();
    assert_eq!((list.len(), list.seq()), (1001, 2));
}

/// A statement asks the store nothing of its own: the list is looked at as often as it grows old.
#[tokio::test(flavor = "multi_thread")]
async fn many_statements_share_a_look() {
    let lake = TestLake::filled().await;
    let looks = || {
        let text = lake.app.metrics_text();
        let line =
            text.lines().find(|line| line.starts_with("stedi_deny_reads_total{outcome=\"ok\"}"));
        line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse::<u128>().unwrap())
    };
    let (before, began) = (looks(), Instant::now());
    for _ in 0..200 {
        lake.count("customer_trusted").await;
    }
    // Half of the time that a list may be used.
    let most = began.elapsed().as_millis() / 250 + 2;
    assert!(looks() - before <= most, "{} looks, {most} at most", looks() - before);
    assert!(!lake.root().join("system/deny").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_write_at_once_leave_no_gap() {
    let lake = TestLake::new().await;
    let servers = [another(&lake).await, another(&lake).await, another(&lake).await];
    let tasks = (0..24).map(|at| {
        let deny = servers[at % 3].deny.clone();
        tokio::spawn(async move { deny.add(&[denied(&format!("r{at}"))]).await.unwrap() })
    });
    futures::future::try_join_all(tasks.collect::<Vec<_>>()).await.unwrap();
    let names: Vec<String> = objects(&lake)
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    let expected: Vec<String> = (1..=24).map(|seq| format!("{seq:020}.json")).collect();
    assert_eq!(names, expected);
    for server in &servers {
        tokio::time::sleep(std::time::Duration::from_millis(600)).await;
        assert_eq!(server.deny.current().await.unwrap().len(), 24);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lifted_leaves_nothing_of_anybody() {
    let lake = TestLake::new().await;
    let (app, behind) = (&lake.app, another(&lake).await);
    app.deny.add(&[denied("r1"), denied("r2")]).await.unwrap();
    app.deny.add(&[denied("r3")]).await.unwrap();
    assert_eq!(behind.deny.current().await.unwrap().len(), 3);
    let versions = BTreeMap::from([("t".to_owned(), 7)]);
    app.deny.gone(&requests(["r1", "r2"]), &versions).await.unwrap();
    app.deny.gone(&requests(["r1", "r2"]), &versions).await.unwrap();
    assert_eq!(objects(&lake).len(), 3, "what is known is not said again");
    let list = another(&lake).await.deny.current().await.unwrap();
    assert_eq!((list.gone("r1"), list.gone("r3")), (versions, BTreeMap::new()));

    for (lift, left) in [("r1", 2), ("r2", 1), ("r3", 0)] {
        app.deny.lift(&requests([lift])).await.unwrap();
        // Repeated, as a saga does that was cut short.
        app.deny.lift(&requests([lift])).await.unwrap();
        let text = written(&lake);
        for kind in ["subject", "device"] {
            assert!(!text.contains(&format!("{kind}-{lift}-")), "{text}");
        }
        // One that was there all the time, and one that begins.
        tokio::time::sleep(std::time::Duration::from_millis(600)).await;
        for server in [&behind, &another(&lake).await] {
            assert_eq!(server.deny.current().await.unwrap().len(), left, "{lift}");
        }
    }
    app.deny.add(&[denied("r4")]).await.unwrap();
    let list = another(&lake).await.deny.current().await.unwrap();
    assert!(list.has("r4") && list.len() == 1);
}
