//! The key that signs certificates: Ed25519 (RFC 8032), from a seed in the state folder.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use super::error::CertificateError;
use crate::key_file::{self, Key};

/// What a public key of Ed25519 begins with as SubjectPublicKeyInfo (RFC 8410, section 4).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// What the key of references is derived for.
const REFERENCES: &[u8] = b"stedi certificate references 1";
/// Bytes of a reference: the first 128 bits of the code.
const REFERENCE_BYTES: usize = 16;
/// Hexadecimal digits of a key's id.
const ID_DIGITS: usize = 16;

/// Signs certificates, and makes the references to persons in them; clones are the same.
#[derive(Clone)]
pub struct SigningKey {
    pair: Arc<Ed25519KeyPair>,
    references: Hmac<Sha256>,
}

impl SigningKey {
    /// Reads the key from its file, or makes it.
    ///
    /// # Errors
    /// [`CertificateError::KeyFile`]
    pub fn open(file: &Path) -> Result<Self, CertificateError> {
        let seed = key_file::read_or_make(file)
            .map_err(|source| CertificateError::KeyFile { file: file.to_owned(), source })?;
        Self::of(&seed)
    }

    fn of(seed: &Key) -> Result<Self, CertificateError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| CertificateError::Key)?;
        let mut derived = hmac(seed);
        derived.update(REFERENCES);
        let references = hmac(&derived.finalize().into_bytes().into());
        Ok(Self { pair: Arc::new(pair), references })
    }

    /// Tells keys apart: the first 16 hexadecimal digits of the SHA-256 of the public key.
    pub fn id(&self) -> String {
        let digest = hex::encode(Sha256::digest(self.pair.public_key().as_ref()));
        digest.chars().take(ID_DIGITS).collect()
    }

    /// The public key, as PEM (RFC 7468) that programs such as OpenSSL read.
    pub fn public_pem(&self) -> String {
        let mut bytes = SPKI.to_vec();
        bytes.extend_from_slice(self.pair.public_key().as_ref());
        let text = STANDARD.encode(bytes);
        format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n")
    }

    /// The reference to a person by their `subject_id`: 32 hexadecimal digits. Not the pseudonym, which
    /// is nowhere any more after an erasure.
    pub fn reference(&self, subject_id: &str) -> String {
        let mut mac = self.references.clone();
        mac.update(subject_id.as_bytes());
        let code = hex::encode(mac.finalize().into_bytes());
        code.chars().take(2 * REFERENCE_BYTES).collect()
    }

    /// The signature of a message, in base64.
    pub(super) fn sign(&self, message: &[u8]) -> String {
        STANDARD.encode(self.pair.sign(message))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.id()).finish_non_exhaustive()
    }
}

fn hmac(key: &Key) -> Hmac<Sha256> {
    // A key of this length is taken as it is (RFC 2104, section 2).
    let mut padded = [0; 64];
    padded[..key.len()].copy_from_slice(key);
    <Hmac<Sha256> as Mac>::new(&padded.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SigningKey {
        // RFC 8032, section 7.1, test 1.
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        SigningKey::of(&hex::decode(seed).unwrap().try_into().unwrap()).unwrap()
    }

    #[test]
    fn signs_as_the_standard_says() {
        let signature = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a3\
                         3bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";
        assert_eq!(hex::encode(STANDARD.decode(key().sign(b"")).unwrap()), signature);
        assert!(
            key()
                .public_pem()
                .contains("MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
        );
    }

    #[test]
    fn a_reference_is_not_the_pseudonym_and_never_prints_the_key() {
        let key = key();
        assert_eq!(key.reference("ab").len(), 32);
        assert_ne!(key.reference("ab"), key.reference("abc"));
        assert!(!format!("{key:?}").contains("9d61"));
    }
}
