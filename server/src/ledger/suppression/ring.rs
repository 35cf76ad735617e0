//! The keys of the list's hashes. New entries are under the newest; older keys stay, to look up what
//! was hashed under them: nobody has the plain values any more.

use std::path::Path;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::key_file::{self, Key};
use crate::ledger::error::LedgerError;
use crate::ledger::subject_key::keyed;

/// What a check value is the code of: no entry's hash is of something that begins with a NUL.
const CHECK_MESSAGE: &[u8] = b"\0stedi suppression key check 1";
/// Bytes of a check value.
const CHECK_BYTES: usize = 16;

/// The keys of a server, the newest first.
#[derive(Clone, Debug)]
pub(super) struct Ring(Vec<RingKey>);

/// One key.
#[derive(Clone, Debug)]
pub(super) struct RingKey {
    /// Its check value: tells keys apart and nothing about the key.
    pub id: String,
    pub mac: Hmac<Sha256>,
}

impl RingKey {
    fn new(key: &Key) -> Self {
        let mac = keyed(key);
        let mut check = mac.clone();
        check.update(CHECK_MESSAGE);
        Self { id: hex::encode(&check.finalize().into_bytes()[..CHECK_BYTES]), mac }
    }
}

impl Ring {
    /// Reads the keys of a file; `None` if there is none.
    pub fn read(file: &Path) -> Result<Option<Self>, LedgerError> {
        let keys = key_file::read_ring(file).map_err(failed(file))?;
        Ok(keys.map(|keys| Self::of(&keys)))
    }

    /// The same; without a file, one is made with one key.
    pub fn read_or_make(file: &Path) -> Result<Self, LedgerError> {
        if let Some(ring) = Self::read(file)? {
            return Ok(ring);
        }
        Ok(Self::of(&[key_file::read_or_make(file).map_err(failed(file))?]))
    }

    /// Adds a new key to a file and gives its check value.
    pub fn add(file: &Path) -> Result<String, LedgerError> {
        Ok(RingKey::new(&key_file::add_to_ring(file).map_err(failed(file))?).id)
    }

    pub(super) fn of(keys: &[Key]) -> Self {
        Self(keys.iter().map(RingKey::new).collect())
    }

    /// The key of new entries.
    pub fn newest(&self) -> Option<&RingKey> {
        self.0.first()
    }

    /// The key with a check value.
    pub fn key(&self, id: &str) -> Option<&RingKey> {
        self.0.iter().find(|key| key.id == id)
    }

    /// The check values of all, the oldest first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().rev().map(|key| key.id.as_str())
    }
}

fn failed(file: &Path) -> impl Fn(std::io::Error) -> LedgerError + '_ {
    |source| LedgerError::RingFile { file: file.to_owned(), source }
}
