//! The keys of the suppression list.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

use stedi_server::app::App;
use stedi_server::ledger::Suppressed;

use crate::support::{TestLake, server};

fn erased(request: &str, email: &str) -> Suppressed {
    Suppressed {
        request: request.to_owned(),
        emails: BTreeSet::from([email.to_owned()]),
        devices: BTreeSet::new(),
        until: 1,
    }
}

/// The operator's command, in a state folder.
fn add_key(lake: &TestLake) -> String {
    let mut command = server();
    command.args(["suppression-key", "add", "--state-dir"]).arg(&lake.config.state_dir);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_older_keys_still_suppress() {
    let lake = TestLake::new().await;
    let file = lake.config.suppression_keys();
    let mode = || std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    let keys = || std::fs::read_to_string(&file).unwrap();
    assert_eq!((mode(), keys().lines().count()), (0o600, 1));
    let suppression = &lake.app.suppression;
    assert_eq!(suppression.add(&[erased("r1", "ada@x.c")]).await.unwrap(), 1);
    let before = keys();
    let told = add_key(&lake);
    let after = keys();
    assert_eq!((mode(), after.lines().count()), (0o600, 2));
    assert!(after.ends_with(before.trim_end()) || after.trim_end().ends_with(before.trim_end()));
    assert!(!after.lines().any(|key| told.contains(key)), "a key is printed: {told}");
    // The server that runs takes the new one; a request that is there stays as it is.
    let both = [erased("r1", "other@x.c"), erased("r2", "bob@x.c")];
    assert_eq!(suppression.add(&both).await.unwrap(), 2);
    assert_eq!(suppression.add(&both).await.unwrap(), 2);
    let object = |number: u64| {
        let path = lake.root().join(format!("system/suppression/{number:020}.json"));
        let text = std::fs::read_to_string(path).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["entries"][0]["key"].take()
    };
    assert_ne!(object(1), object(2));
    for app in [&lake.app, &App::open(&lake.config).await.unwrap()] {
        let list = app.suppression.newest().await.unwrap();
        assert!(list.email("ada@x.c") && list.email("bob@x.c") && !list.email("other@x.c"));
    }
    for key in after.lines() {
        assert!(!format!("{:?}", lake.app.suppression).contains(key));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_key_of_the_lake_does_not_start() {
    let lake = TestLake::new().await;
    let file = lake.config.suppression_keys();
    lake.app.suppression.add(&[erased("r1", "ada@x.c")]).await.unwrap();
    add_key(&lake);
    App::open(&lake.config).await.unwrap();
    let keys = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = keys.lines().collect();
    for (text, reason) in [
        (Some(lines[0].to_owned()), "a key that is not among them"),
        (Some(lines[1].to_owned()), "a key that is not among them"),
        (Some(format!("{}\n{}", lines[0], "ab".repeat(32))), "a key that is not among them"),
        (Some(format!("{}\nabc", lines[0])), "line 2: expected 64 hex"),
        (Some(String::new()), "holds no key"),
        (None, "a key that is not among them"),
    ] {
        match &text {
            Some(text) => std::fs::write(&file, text).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        let error = App::open(&lake.config).await.unwrap_err().to_string();
        assert!(error.contains(reason) && error.contains("suppression.keys"), "{error}");
        assert!(!lines.iter().any(|key| error.contains(key)), "{error}");
        assert_eq!(file.exists(), text.is_some(), "no new key is made for an old lake");
    }
    std::fs::write(&file, keys).unwrap();
    App::open(&lake.config).await.unwrap();
}

/// One server got a new key and the other not yet: it loads nothing rather than what is suppressed.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lacks_the_newest_key_loads_nothing() {
    let lake = TestLake::new().await;
    let mut elsewhere = lake.config.clone();
    let other = tempfile::tempdir().unwrap();
    for file in ["subject.key", "suppression.keys"] {
        std::fs::copy(lake.config.state_dir.join(file), other.path().join(file)).unwrap();
    }
    elsewhere.state_dir = other.path().to_owned();
    let lagging = App::open(&elsewhere).await.unwrap();
    add_key(&lake);
    lake.app.suppression.add(&[erased("r1", "ada@x.c")]).await.unwrap();
    let error = lagging.suppression.newest().await.unwrap_err().to_string();
    assert!(error.contains("a key that is not among them"), "{error}");
    // The file is copied, and it goes on as it is.
    let file = "suppression.keys";
    std::fs::copy(lake.config.state_dir.join(file), other.path().join(file)).unwrap();
    assert!(lagging.suppression.newest().await.unwrap().email("ada@x.c"));
}
