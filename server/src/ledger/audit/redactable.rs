//! Fields that an erasure may redact.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Bytes of a salt.
const SALT_BYTES: usize = 16;

/// A field that may be redacted later: the chain covers its digest, which is
/// SHA-256(salt ‖ value), and not the value. To redact it, value and salt are set to null and the
/// digest stays: the chain still holds, and without the salt nobody can try values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redactable {
    /// What it says; `None` if there is nothing to say, or no more.
    pub value: Option<String>,
    /// 16 random bytes in hex.
    pub salt: Option<String>,
    /// SHA-256 of the salt's bytes and the value's, in hex.
    pub digest: Option<String>,
}

impl Redactable {
    /// A field that says something, or nothing.
    pub fn new(value: Option<String>) -> Self {
        match value {
            None => Self::default(),
            Some(value) => {
                let salt: [u8; SALT_BYTES] = rand::random();
                let digest = Some(digest(&salt, &value));
                Self { value: Some(value), salt: Some(hex::encode(salt)), digest }
            }
        }
    }

    /// Whether it said something that is gone.
    pub fn is_redacted(&self) -> bool {
        self.value.is_none() && self.digest.is_some()
    }

    /// Whether value, salt and digest belong together.
    pub fn holds(&self) -> bool {
        match (&self.value, &self.salt, &self.digest) {
            (None, None, _) => true,
            (Some(value), Some(salt), Some(expected)) => {
                let mut bytes = [0; SALT_BYTES];
                hex::decode_to_slice(salt, &mut bytes).is_ok() && digest(&bytes, value) == *expected
            }
            _ => false,
        }
    }
}

fn digest(salt: &[u8; SALT_BYTES], value: &str) -> String {
    hex::encode(Sha256::new().chain_update(salt).chain_update(value).finalize())
}
