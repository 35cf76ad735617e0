//! The key of the pseudonyms: made once, never in the lake, a wrong one refused.

use std::os::unix::fs::PermissionsExt;

use stedi_server::app::App;

use crate::support::TestLake;

#[tokio::test(flavor = "multi_thread")]
async fn is_made_at_first_start_and_is_private() {
    let lake = TestLake::new().await;
    let file = lake.config.subject_key();
    let mode = std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let key = std::fs::read_to_string(&file).unwrap();
    assert_eq!(key.trim().len(), 64);
    let check = std::fs::read_to_string(lake.root().join("system/subject_key.json")).unwrap();
    assert!(!check.contains(key.trim()));
    // The next start uses the same one.
    App::open(&lake.config).await.unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), key);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_a_missing_and_a_damaged_key_are_refused() {
    let lake = TestLake::new().await;
    let file = lake.config.subject_key();
    let key = std::fs::read_to_string(&file).unwrap();
    for (text, reason) in [
        (Some("ab".repeat(32)), "is not the key of the lake"),
        (Some("ab".to_owned()), "64 hex"),
        (None, "is missing"),
    ] {
        match &text {
            Some(text) => std::fs::write(&file, text).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        let error = App::open(&lake.config).await.unwrap_err().to_string();
        assert!(error.contains(reason) && error.contains("subject.key"), "{error}");
        assert_eq!(file.exists(), text.is_some(), "no new key is made for an old lake");
    }
    std::fs::write(&file, key).unwrap();
    App::open(&lake.config).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_start_at_once_on_a_new_lake_agree() {
    let folder = tempfile::tempdir().unwrap();
    let config = stedi_server::config::Config {
        storage: folder.path().join("lake").to_str().unwrap().to_owned(),
        state_dir: folder.path().join("state"),
        ..Default::default()
    };
    let starts = futures::join!(App::open(&config), App::open(&config), App::open(&config));
    for start in [starts.0, starts.1, starts.2] {
        start.unwrap();
    }
}
