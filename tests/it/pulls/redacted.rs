//! A snapshot whose rows are not given any more: a clear word, and what replaces it on request.

use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::stand_in::{Harm, StandIn};
use super::{borrowed, files, holds};
use crate::support::{Dice, client};

async fn stedi(server: &StandIn, folder: &Path, more: &[&str]) -> Output {
    let mut command = client();
    command.args(["--server", &server.url, "snapshot", "pull", "gait", "--format", "json"]);
    command.arg("--out").arg(folder).args(more);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redaction_is_told_and_followed_on_request() {
    let mut dice = Dice::new(9);
    let first = files(&mut dice, &[4000, 5000, 6000]);
    let server = StandIn::start().await;
    let id = server.add("gait", &borrowed(&first));
    let folder = tempfile::tempdir().unwrap();
    assert!(stedi(&server, folder.path(), &[]).await.status.success());

    // One file was rewritten, one was all of one person, one is as it was.
    let second = vec![first[0].clone(), ("curated/redacted.parquet".to_owned(), vec![7; 4500])];
    let next = server.add("gait", &borrowed(&second));
    server.redact(&id, &next);
    server.asked();
    let said = stedi(&server, folder.path(), &[]).await;
    let errors = String::from_utf8(said.stderr).unwrap();
    assert_eq!(said.status.code(), Some(3), "{errors}");
    assert!(errors.contains("redacted") && errors.contains(&next), "{errors}");
    holds(&folder, &first);

    // It breaks: the rows are gone all the same.
    server.harm(|_| Harm::Cut(10));
    let more = ["--accept-redaction", "--tries", "1"];
    let broken = stedi(&server, folder.path(), &more).await;
    assert_eq!(broken.status.code(), Some(1));
    assert!(folder.path().join(&first[0].0).exists());
    assert!(!folder.path().join(&first[1].0).exists());
    assert!(!folder.path().join(&first[2].0).exists());

    server.harm(|_| Harm::None);
    server.asked();
    let done = stedi(&server, folder.path(), &more).await;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(server.asked().iter().map(|it| it.end - it.start).sum::<usize>(), 4490);
    holds(&folder, &second);
    // Now the lock pins the successor.
    let again = stedi(&server, folder.path(), &[]).await;
    assert!(again.status.success());
    let again: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!((&again["snapshot"], &again["fetched_files"]), (&next.into(), &0.into()));
}

/// It happens while files are on their way.
#[tokio::test(flavor = "multi_thread")]
async fn a_redaction_on_the_way_leaves_nothing_half_fetched() {
    let mut dice = Dice::new(10);
    let first = files(&mut dice, &[4000, 5000]);
    let server = StandIn::start().await;
    let second = vec![first[1].clone()];
    let next = server.add("next", &borrowed(&second));
    let id = server.add("gait", &borrowed(&first));
    server.successor(&next);
    let number = AtomicUsize::new(0);
    server.harm(move |_| match number.fetch_add(1, Ordering::SeqCst) {
        0 => Harm::None,
        _ => Harm::Gone,
    });
    let folder = tempfile::tempdir().unwrap();
    let said = stedi(&server, folder.path(), &["--jobs", "1"]).await;
    assert_eq!(said.status.code(), Some(3), "{}", String::from_utf8_lossy(&said.stderr));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    server.redact(&id, &next);
    server.harm(|_| Harm::None);
    let said = stedi(&server, folder.path(), &[]).await;
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    holds(&folder, &second);
}
