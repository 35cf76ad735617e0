//! Seals what must lie in the lake for a while and may be read by servers only: AES-256-GCM with a
//! random nonce (NIST SP 800-38D), under a key that is never in the lake.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::error::LedgerError;
use crate::key_file::Key;

/// Seals and opens, under one key.
pub struct Sealer(RandomizedNonceKey);

/// Something sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    nonce: String,
    sealed: String,
}

impl Sealer {
    /// Under this key.
    ///
    /// # Errors
    /// [`LedgerError::Seal`]
    pub fn new(key: &Key) -> Result<Self, LedgerError> {
        Ok(Self(RandomizedNonceKey::new(&AES_256_GCM, key).map_err(|_| LedgerError::Seal)?))
    }

    /// Seals bytes. They are opened with the same `of` only: one thing does not pass for another.
    ///
    /// # Errors
    /// [`LedgerError::Seal`]
    pub fn seal(&self, of: &str, bytes: &[u8]) -> Result<Sealed, LedgerError> {
        let mut sealed = bytes.to_vec();
        let nonce = self.0.seal_in_place_append_tag(Aad::from(of.as_bytes()), &mut sealed);
        let nonce = nonce.map_err(|_| LedgerError::Seal)?;
        Ok(Sealed { nonce: STANDARD.encode(nonce.as_ref()), sealed: STANDARD.encode(sealed) })
    }

    /// Opens what was sealed under this key, as the same thing, and not changed since.
    ///
    /// # Errors
    /// [`LedgerError::Seal`]
    pub fn open(&self, of: &str, sealed: &Sealed) -> Result<Vec<u8>, LedgerError> {
        let nonce = STANDARD.decode(&sealed.nonce).map_err(|_| LedgerError::Seal)?;
        let nonce: [u8; NONCE_LEN] = nonce.try_into().map_err(|_| LedgerError::Seal)?;
        let mut bytes = STANDARD.decode(&sealed.sealed).map_err(|_| LedgerError::Seal)?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened = self.0.open_in_place(nonce, Aad::from(of.as_bytes()), &mut bytes);
        Ok(opened.map_err(|_| LedgerError::Seal)?.to_vec())
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_opens_and_only_as_the_same_thing() {
        let sealer = Sealer::new(&[7; 32]).unwrap();
        let sealed = sealer.seal("a", b"ada@example.com").unwrap();
        assert_eq!(sealer.open("a", &sealed).unwrap(), b"ada@example.com");
        assert!(sealer.open("b", &sealed).is_err());
        assert!(Sealer::new(&[8; 32]).unwrap().open("a", &sealed).is_err());
        assert_ne!(sealer.seal("a", b"ada@example.com").unwrap(), sealed);
        let text = serde_json::to_string(&sealed).unwrap();
        assert!(!text.contains("ada"), "{text}");
        let changed = Sealed { sealed: STANDARD.encode([0; 31]), ..sealed };
        assert!(sealer.open("a", &changed).is_err());
    }
}
