//! Snapshots are pulled into folders: whatever happens on the way, what has its name is what the
//! manifest names. `stand_in` is in the place of the server, where harm is needed that no server does.

#[path = "pulls/broken.rs"]
mod broken;
#[path = "pulls/hostile.rs"]
mod hostile;
#[path = "pulls/locked.rs"]
mod locked;
#[path = "pulls/redacted.rs"]
mod redacted;
#[path = "pulls/stand_in.rs"]
pub mod stand_in;
#[path = "pulls/verified.rs"]
mod verified;

use std::path::Path;
use std::time::Duration;

use stedi_client::{Pull, PullError, Pulled, Retries, Server, verify};
use tempfile::TempDir;

use crate::support::Dice;
use stand_in::StandIn;

/// A pull with requests that are given up and repeated quickly.
fn quick(asked: &str, folder: &Path) -> Pull {
    let mut pull = Pull::new(asked, folder);
    pull.piece = 100_000;
    pull.patience = Duration::from_millis(400);
    pull.retries.first = Duration::from_millis(1);
    pull.retries.longest = Duration::from_millis(20);
    pull
}

/// The same, where the first request that fails ends it.
fn once(asked: &str, folder: &Path) -> Pull {
    let patience = Duration::from_secs(30);
    Pull { retries: Retries::never(), patience, ..quick(asked, folder) }
}

async fn pulled(server: &StandIn, pull: &Pull) -> Result<Pulled, PullError> {
    let server = Server::new(&server.url).unwrap().with_token("t");
    pull.run(&server, |_| {}).await
}

/// Files of a snapshot with bytes that follow from a seed.
fn files(dice: &mut Dice, sizes: &[usize]) -> Vec<(String, Vec<u8>)> {
    let bytes = |dice: &mut Dice, size: usize| -> Vec<u8> {
        (0..size.div_ceil(8)).flat_map(|_| dice.roll().to_le_bytes()).take(size).collect()
    };
    let numbered = sizes.iter().enumerate();
    numbered
        .map(|(at, &size)| (format!("curated/part-{at:05}.parquet"), bytes(dice, size)))
        .collect()
}

fn borrowed(files: &[(String, Vec<u8>)]) -> Vec<(&str, Vec<u8>)> {
    files.iter().map(|(path, bytes)| (path.as_str(), bytes.clone())).collect()
}

/// The folder holds these files and what the client keeps, nothing else.
fn holds(folder: &TempDir, files: &[(String, Vec<u8>)]) {
    let found = verify(folder.path(), 2).unwrap();
    assert_eq!(found.faults, []);
    assert_eq!(found.files as usize, files.len());
    for (path, bytes) in files {
        assert!(std::fs::read(folder.path().join(path)).unwrap() == *bytes, "{path}");
    }
    assert!(!folder.path().join(".stedi").exists());
}
