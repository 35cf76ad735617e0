//! Marks of contents, keys and files: what tells them apart, and tells nothing of them.
//!
//! A plain hash of a content with one record would let whoever holds the lake try what somebody's record
//! says, long after they were erased. So a mark is a code under a key that is derived from the lake's
//! subject key: the same on every server of the lake, and of no use without the key.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::ledger::SubjectKey;

/// Makes marks.
#[derive(Clone)]
pub(super) struct Marks(Hmac<Sha256>);

impl Marks {
    /// Under the key of a lake.
    pub fn new(key: &SubjectKey) -> Self {
        Self(key.derived("landing marks 1"))
    }

    /// The mark of something of a kind, in hexadecimal digits.
    pub fn of(&self, kind: &str, parts: &[&[u8]]) -> String {
        let mut mac = self.0.clone();
        for part in std::iter::once(kind.as_bytes()).chain(parts.iter().copied()) {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        hex::encode(mac.finalize().into_bytes())
    }
}

impl fmt::Debug for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Marks")
    }
}
