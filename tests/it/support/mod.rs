//! What the tests share: a lake in a folder of its own, the commands, an S3, other readers.

mod chunked;
mod command;
mod disk;
mod faults;
mod gate;
mod http;
mod keys;
mod lake;
mod proxy;
mod python;
mod replay;
mod seaweed;
mod service;
mod serving;
mod site;
mod size;
mod sql;

pub use chunked::Chunked;
pub use command::{Running, client, server};
pub use disk::{Disk, on_disk};
pub use faults::{Dice, Faults};
pub use gate::Gate;
pub use http::TestServer;
pub use keys::{SigningKey, base64url};
pub use lake::{TestLake, adds_up, author};
pub use proxy::{Fate, Proxy};
pub use python::python;
pub use replay::{Replayed, replay, replayed_rows};
pub use seaweed::SeaweedFs;
pub use service::Service;
pub use serving::Serving;
pub use site::{DERIVED, QUICK, Site, customer};
pub use size::{full, seed, sized};
pub use sql::{Answered, DIGITS, answered, endless, many};

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::SystemTime;

/// The tables of the built-in pipeline, in the order in which golden counts are given.
pub const TABLES: [&str; 8] = [
    "customer_landing",
    "accelerometer_landing",
    "step_trainer_landing",
    "customer_trusted",
    "accelerometer_trusted",
    "customer_curated",
    "step_trainer_trusted",
    "machine_learning_curated",
];

/// The real data; a test that needs it is ignored where it is missing.
pub fn real_data() -> PathBuf {
    PathBuf::from(env!("STEDI_TEST_DATA"))
}

/// The committed fixture with hand-checked counts.
pub fn fixture() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/fixture"))
}

/// A port that was free a moment ago. It is below those that the system hands out to others, and none is
/// given twice: a program may take many of them before it listens on the first.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = (std::process::id() as u16).wrapping_mul(37);
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 20_000 + first.wrapping_add(step) % 12_000;
        if std::net::TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
}

/// When the newest file below a folder was changed.
fn newest(folder: impl AsRef<Path>) -> SystemTime {
    let mut newest = SystemTime::UNIX_EPOCH;
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        newest = newest.max(match entry.file_type().unwrap().is_dir() {
            true => self::newest(entry.path()),
            false => entry.metadata().unwrap().modified().unwrap(),
        });
    }
    newest
}

/// Files below a folder whose bytes hold a text as it is.
pub fn holding(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, text));
        } else {
            // A server at work renames what it has written.
            let Ok(bytes) = std::fs::read(&path) else { continue };
            if bytes.windows(text.len()).any(|part| part == text.as_bytes()) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}
