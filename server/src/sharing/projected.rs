//! Files without the columns that nobody gets, made when they are asked for.
//!
//! They are nowhere in the lake: what is not kept need not be purged. A client must be told how large a
//! file is before it fetches it, and reads it in ranges; so what was made stays in memory for a while,
//! and is made again, byte for byte, where it did not.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::error::SharingError;
use crate::lake::Table;

/// Bytes that stay in memory, of all files together.
const MOST: usize = 64 * 1024 * 1024;
/// How long one stays.
const LONGEST: Duration = Duration::from_secs(300);

/// A file as it is given.
#[derive(Clone, Debug)]
pub struct Made {
    /// Its bytes.
    pub bytes: Bytes,
    /// Their digest.
    pub sha256: [u8; 32],
}

/// The files that are in memory.
#[derive(Debug, Default)]
pub(super) struct Projected {
    /// The one that was made last is last.
    made: Mutex<Vec<(String, Instant, Made)>>,
    /// One is made at a time: each needs memory.
    turn: tokio::sync::Mutex<()>,
}

impl Projected {
    /// A file of a table with these columns only; `None` if it is not there any more.
    pub async fn get(
        &self,
        table: &Table,
        file: &str,
        keep: &BTreeSet<String>,
    ) -> Result<Option<Made>, SharingError> {
        let columns: Vec<&str> = keep.iter().map(String::as_str).collect();
        let key = format!("{}/{file}\0{}", table.name(), columns.join("\0"));
        if let Some(made) = self.known(&key) {
            return Ok(Some(made));
        }
        let _turn = self.turn.lock().await;
        if let Some(made) = self.known(&key) {
            return Ok(Some(made));
        }
        let Some(bytes) = table.narrowed(file, keep).await? else { return Ok(None) };
        let made = Made { sha256: Sha256::digest(&bytes).into(), bytes };
        let mut all = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        all.push((key, Instant::now(), made.clone()));
        while all.iter().map(|(.., made)| made.bytes.len()).sum::<usize>() > MOST {
            all.remove(0);
        }
        Ok(Some(made))
    }

    fn known(&self, key: &str) -> Option<Made> {
        let mut all = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(_, since, _)| since.elapsed() < LONGEST);
        all.iter().find(|(known, ..)| known == key).map(|(.., made)| made.clone())
    }
}
