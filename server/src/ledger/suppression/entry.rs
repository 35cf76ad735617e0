//! Whose records are kept out.

use std::collections::BTreeSet;
use std::fmt;

use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::ring::RingKey;

/// Somebody who was erased, in plain: it is never kept so.
#[derive(Clone, PartialEq, Eq)]
pub struct Suppressed {
    /// The request of the erasure.
    pub request: String,
    /// Their e-mails, trimmed and lower-cased: no record that names one is taken, whenever it is from.
    pub emails: BTreeSet<String>,
    /// The serial numbers that they claimed: no record that names one and nobody is taken, if it is
    /// from before `until`.
    pub devices: BTreeSet<String>,
    /// The time of the erasure, in epoch milliseconds.
    pub until: i64,
}

impl fmt::Debug for Suppressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { request, until, .. } = self;
        f.debug_struct("Suppressed").field("request", request).field("until", until).finish()
    }
}

/// What is kept of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub request: String,
    /// The check value of the key of the hashes.
    pub key: String,
    /// HMAC-SHA256, in hexadecimal digits.
    pub emails: BTreeSet<String>,
    pub devices: BTreeSet<String>,
    pub until: i64,
}

/// A keyed hash.
pub(super) type Hash = [u8; 32];

impl Entry {
    pub fn new(suppressed: &Suppressed, key: &RingKey) -> Self {
        let Suppressed { request, emails, devices, until } = suppressed;
        Self {
            request: request.clone(),
            key: key.id.clone(),
            emails: emails.iter().map(|email| hex::encode(of_email(&key.mac, email))).collect(),
            devices: devices
                .iter()
                .map(|device| hex::encode(of_device(&key.mac, device)))
                .collect(),
            until: *until,
        }
    }
}

/// The hash of a normalised e-mail.
pub(super) fn of_email(mac: &Hmac<Sha256>, email: &str) -> Hash {
    of(mac, b"email\0", email)
}

/// The hash of a serial number.
pub(super) fn of_device(mac: &Hmac<Sha256>, device: &str) -> Hash {
    of(mac, b"device\0", device)
}

fn of(mac: &Hmac<Sha256>, kind: &[u8], text: &str) -> Hash {
    let mut mac = mac.clone();
    mac.update(kind);
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}
