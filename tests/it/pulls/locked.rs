//! The lock pins the id, and only what changed is fetched.

use stedi_client::PullError;

use super::stand_in::StandIn;
use super::{borrowed, files, holds, once, pulled, quick};
use crate::support::Dice;

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_moves_is_followed_only_on_request() {
    let mut dice = Dice::new(6);
    let first = files(&mut dice, &[120_000, 3000, 500]);
    let server = StandIn::start().await;
    let id = server.add("gait", &borrowed(&first));
    let folder = tempfile::tempdir().unwrap();
    let mut pull = quick("gait", folder.path());
    assert_eq!(pulled(&server, &pull).await.unwrap().snapshot, id);
    server.asked();

    // One file stays, one changes in its place, one goes, one comes, and one moves.
    let mut second = vec![first[0].clone()];
    second.push((first[1].0.clone(), b"changed".to_vec()));
    second.push(("curated/new.parquet".to_owned(), b"new".to_vec()));
    second.push(("moved/part.parquet".to_owned(), first[2].1.clone()));
    let next = server.add("gait", &borrowed(&second));
    let again = pulled(&server, &pull).await.unwrap();
    assert_eq!((again.snapshot, again.fetched_files), (id.clone(), 0));
    holds(&folder, &first);
    // By its id it is the same.
    pulled(&server, &quick(&id, folder.path())).await.unwrap();
    let other = pulled(&server, &quick("latest", folder.path())).await.unwrap_err();
    assert!(matches!(other, PullError::Other { .. }), "{other}");
    assert!(server.asked().is_empty());

    pulled(&server, &pull).await.unwrap();
    pull.update = true;
    let done = pulled(&server, &pull).await.unwrap();
    assert_eq!((done.snapshot.as_str(), done.fetched_files), (next.as_str(), 2));
    assert_eq!(done.removed, ["curated/part-00002.parquet"]);
    assert_eq!(server.asked().iter().map(|it| it.end - it.start).sum::<usize>(), 7 + 3);
    holds(&folder, &second);
    let lock = std::fs::read_to_string(folder.path().join("snapshot.lock")).unwrap();
    let lock: serde_json::Value = serde_json::from_str(&lock).unwrap();
    assert_eq!((&lock["snapshot"], &lock["asked"]), (&next.clone().into(), &"gait".into()));
    assert_eq!(lock["files"].as_array().unwrap().len(), 4);
}

/// An update that breaks off leaves the folder as it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_update_leaves_the_old_files() {
    let mut dice = Dice::new(7);
    let first = files(&mut dice, &[1000, 2000]);
    let server = StandIn::start().await;
    server.add("gait", &borrowed(&first));
    let folder = tempfile::tempdir().unwrap();
    let mut pull = once("gait", folder.path());
    pulled(&server, &pull).await.unwrap();
    let second = files(&mut dice, &[1000, 2000]);
    server.add("gait", &borrowed(&second));
    pull.update = true;
    server.harm(|_| super::stand_in::Harm::Cut(500));
    pulled(&server, &pull).await.unwrap_err();
    for (path, bytes) in &first {
        assert_eq!(&std::fs::read(folder.path().join(path)).unwrap(), bytes);
    }
    assert_eq!(stedi_client::verify(folder.path(), 1).unwrap().faults, []);
    server.harm(|_| super::stand_in::Harm::None);
    pulled(&server, &pull).await.unwrap();
    holds(&folder, &second);
}

/// What was damaged in the folder is fetched again, and two files of one content are fetched once.
#[tokio::test(flavor = "multi_thread")]
async fn damage_is_mended() {
    let mut dice = Dice::new(8);
    let mut all = files(&mut dice, &[5000, 6000]);
    all.push(("curated/twin.parquet".to_owned(), all[0].1.clone()));
    let server = StandIn::start().await;
    server.add("gait", &borrowed(&all));
    let folder = tempfile::tempdir().unwrap();
    let mut pull = quick("gait", folder.path());
    assert_eq!(pulled(&server, &pull).await.unwrap().fetched_files, 2);
    holds(&folder, &all);
    let mut bytes = all[1].1.clone();
    bytes[100] ^= 1;
    std::fs::write(folder.path().join(&all[1].0), bytes).unwrap();
    // The twin is there, so nothing has to come for this one.
    std::fs::remove_file(folder.path().join(&all[0].0)).unwrap();
    std::fs::write(folder.path().join("curated/old.parquet"), "x").unwrap();
    std::fs::write(folder.path().join("curated/notes.txt"), "x").unwrap();
    pull.prune = true;
    let done = pulled(&server, &pull).await.unwrap();
    assert_eq!(done.fetched_files, 1);
    assert_eq!(done.removed, ["curated/old.parquet"]);
    std::fs::remove_file(folder.path().join("curated/notes.txt")).unwrap();
    holds(&folder, &all);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_pulls_into_one_folder_do_not_meet() {
    let server = StandIn::start().await;
    server.add("gait", &[("a.parquet", b"abc".to_vec())]);
    let folder = tempfile::tempdir().unwrap();
    server.harm(|_| super::stand_in::Harm::Stall(1));
    let mut slow = quick("gait", folder.path());
    slow.patience = std::time::Duration::from_secs(60);
    let (first, second) = (server.clone(), quick("gait", folder.path()));
    let running = tokio::spawn(async move { pulled(&first, &slow).await });
    while server.asked().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let error = pulled(&server, &second).await.unwrap_err();
    assert!(matches!(error, PullError::Busy(_)), "{error}");
    running.abort();
}
