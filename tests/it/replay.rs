//! A replay of the log that shares no code with the server or with delta-rs reads the same rows, and
//! sees what does not hold.

use crate::readers::{FIXTURE, TABLES};
use crate::support::{TestLake, python, replay, replayed_rows};

#[test]
#[cfg_attr(not(python_readers), ignore = "pyarrow is not installed; tests/run installs it")]
fn the_replay_reads_what_deltalake_reads_and_sees_what_is_wrong() {
    python("test_replay.py", &[], &[]);
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(python_readers), ignore = "pyarrow is not installed; tests/run installs it")]
async fn the_fixture_replayed() {
    let lake = TestLake::filled().await;
    let root = lake.root();
    let root = root.to_str().unwrap();
    let replayed = replay(root, &TABLES, &[]);
    for (table, rows) in TABLES.into_iter().zip(FIXTURE) {
        let found = &replayed[table];
        assert_eq!((found.rows, found.inserted, found.deleted), (rows, rows, 0), "{table}");
    }
    let trusted = &replayed["trusted/customer_trusted"];
    assert_eq!(trusted.txns["customer_landing"], 2);
    let emails = replayed_rows(root, "trusted/customer_trusted", &["email"], &[]);
    let mut emails: Vec<&str> = emails.iter().map(|row| row[0].as_str().unwrap()).collect();
    emails.sort_unstable();
    let expected =
        ["ada", "dan", "eve", "fay", "gus", "hal"].map(|name| format!("{name}@example.com"));
    assert_eq!(emails, expected);
}
