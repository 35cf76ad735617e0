//! The key that turns a customer's e-mail into a pseudonym.
//!
//! The key stays in the configuration (the state folder by default) and never goes into the lake,
//! so that whoever holds the lake cannot name its customers. The lake holds a check value, and a
//! server with another key refuses to start: it would give every customer a second pseudonym.

use std::fmt;
use std::path::Path;

use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::error::LedgerError;
use crate::key_file::{self, KEY_BYTES, Key};
use crate::lake::Lake;

/// Bytes of a pseudonym: the first 128 bits of the code.
const PSEUDONYM_BYTES: usize = 16;
/// The object in the lake that holds the check value.
const CHECK: &str = "system/subject_key.json";
/// What the check value is the code of. No e-mail begins with a NUL.
const CHECK_MESSAGE: &[u8] = b"\0stedi subject key check 1";

/// The secret key of `subject_id`.
#[derive(Clone)]
pub struct SubjectKey {
    mac: Hmac<Sha256>,
    id: String,
}

/// What the lake keeps of the key.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Check {
    algorithm: String,
    check: String,
}

const ALGORITHM: &str = "HMAC-SHA256, first 128 bits";

impl SubjectKey {
    /// Reads the key of a lake from its file and compares it with the lake's check value. For a
    /// new lake both are made.
    ///
    /// # Errors
    /// [`LedgerError::WrongKey`] or [`LedgerError::MissingKey`] where the lake was made with a key
    /// that is not in the file.
    pub async fn open(lake: &Lake, file: &Path) -> Result<Self, LedgerError> {
        let expected = read_check(lake).await?;
        let failed = |source| LedgerError::KeyFile { file: file.to_owned(), source };
        let key = match (key_file::read(file).map_err(failed)?, expected) {
            (Some(key), _) => Self::new(&key),
            (None, Some(expected)) => {
                let lake = lake.location().to_string();
                return Err(LedgerError::MissingKey { file: file.to_owned(), lake, expected });
            }
            (None, None) => Self::new(&key_file::read_or_make(file).map_err(failed)?),
        };
        let check = Check { algorithm: ALGORITHM.to_owned(), check: key.id.clone() };
        let text = serde_json::to_vec(&check).map_err(|error| LedgerError::Check {
            path: CHECK.to_owned(),
            reason: error.to_string(),
        })?;
        // Of two servers that start on a new lake at once, the first decides.
        lake.create_object(CHECK, text).await?;
        let expected = read_check(lake).await?.unwrap_or_default();
        if expected != key.id {
            return Err(LedgerError::WrongKey {
                file: file.to_owned(),
                lake: lake.location().to_string(),
                found: key.id,
                expected,
            });
        }
        Ok(key)
    }

    fn new(key: &Key) -> Self {
        let mac = keyed(key);
        let id = pseudonym(&mac, CHECK_MESSAGE);
        Self { mac, id }
    }

    /// A key that unit tests agree on.
    #[cfg(test)]
    pub(crate) fn of_tests() -> Self {
        Self::new(&[0x0b; KEY_BYTES])
    }

    /// The check value: tells keys apart and nothing about the key.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A code under a key of its own, which is derived from this one for a purpose.
    pub fn derived(&self, purpose: &str) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        // No e-mail begins with a NUL.
        mac.update(b"\0stedi ");
        mac.update(purpose.as_bytes());
        keyed(&mac.finalize().into_bytes().into())
    }

    /// The pseudonym of a normalised (trimmed, lower-cased) e-mail: 32 hexadecimal digits.
    pub fn subject_id(&self, email: &str) -> String {
        pseudonym(&self.mac, email.as_bytes())
    }
}

impl fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubjectKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A code under a key.
pub(super) fn keyed(key: &Key) -> Hmac<Sha256> {
    // A key of this length is taken as it is (RFC 2104, section 2).
    let mut padded = [0; 64];
    padded[..KEY_BYTES].copy_from_slice(key);
    <Hmac<Sha256> as Mac>::new(&padded.into())
}

fn pseudonym(mac: &Hmac<Sha256>, message: &[u8]) -> String {
    let mut mac = mac.clone();
    mac.update(message);
    hex::encode(&mac.finalize().into_bytes()[..PSEUDONYM_BYTES])
}

async fn read_check(lake: &Lake) -> Result<Option<String>, LedgerError> {
    let wrong = |reason: String| LedgerError::Check { path: CHECK.to_owned(), reason };
    let Some(bytes) = lake.read_object(CHECK).await? else { return Ok(None) };
    let check: Check = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
    match check.algorithm == ALGORITHM {
        true => Ok(Some(check.check)),
        false => Err(wrong(format!("unknown algorithm {:?}", check.algorithm))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_first_half_of_hmac_sha256() {
        // Computed with another program: printf a@b.c | openssl dgst -sha256 -mac hmac
        // -macopt hexkey:0b0b…0b (32 bytes)
        let key = SubjectKey::new(&[0x0b; KEY_BYTES]);
        assert_eq!(key.subject_id("a@b.c"), "818b42eecf58c2bcd687fa439cc6db48");
        assert_eq!(key.subject_id("a@b.c").len(), 2 * PSEUDONYM_BYTES);
    }

    #[test]
    fn never_prints_the_key() {
        let key = SubjectKey::new(&[0x0b; KEY_BYTES]);
        assert!(!format!("{key:?}").contains("0b0b"));
    }
}
