//! URLs of files: what one gives to whom and until when, signed by us.
//!
//! A URL needs no token beside it, so it is one, for one file: it is checked against what its role may
//! see and against the deny list at every fetch, and ends by itself.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::error::SharingError;
use crate::auth::{Principal, Role};
use crate::ledger::SubjectKey;

/// What the key of URLs is derived for.
const PURPOSE: &str = "sharing url 1";

/// A file that somebody may fetch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ticket {
    /// The table.
    #[serde(rename = "t")]
    pub table: String,
    /// Its version.
    #[serde(rename = "v")]
    pub version: u64,
    /// The file, as the log of that version names it.
    #[serde(rename = "f")]
    pub file: String,
    /// Whether it is one of the changes that made the version.
    #[serde(rename = "c", default, skip_serializing_if = "std::ops::Not::not")]
    pub changes: bool,
    /// Who asked.
    #[serde(rename = "p")]
    pub principal: String,
    /// In which roles.
    #[serde(rename = "r")]
    pub roles: Vec<String>,
    /// Until when, in epoch milliseconds.
    #[serde(rename = "u")]
    pub until: i64,
}

impl Ticket {
    /// Who asked.
    pub fn principal(&self) -> Principal {
        let roles = self.roles.iter().filter_map(|name| Role::parse(name)).collect();
        Principal { subject: self.principal.clone(), roles, until: Some(self.until) }
    }
}

/// Signs URLs.
#[derive(Clone)]
pub(super) struct Signer(Hmac<Sha256>);

impl Signer {
    pub fn new(key: &SubjectKey) -> Self {
        Self(key.derived(PURPOSE))
    }

    /// A ticket as part of a URL.
    pub fn sign(&self, ticket: &Ticket) -> Result<String, SharingError> {
        let text = serde_json::to_vec(ticket);
        let text = text.map_err(|error| SharingError::Task(error.to_string()))?;
        let mut mac = self.0.clone();
        mac.update(&text);
        let code = mac.finalize().into_bytes();
        Ok(format!("{}.{}", URL_SAFE_NO_PAD.encode(text), URL_SAFE_NO_PAD.encode(code)))
    }

    /// The ticket of a URL, at a moment in epoch milliseconds.
    ///
    /// # Errors
    /// [`SharingError::Url`] if it is not one of ours, or has expired.
    pub fn check(&self, token: &str, now: i64) -> Result<Ticket, SharingError> {
        let decode = |text| URL_SAFE_NO_PAD.decode(text).map_err(|_| SharingError::Url);
        let (text, code) = token.split_once('.').ok_or(SharingError::Url)?;
        let (text, code) = (decode(text)?, decode(code)?);
        let mut mac = self.0.clone();
        mac.update(&text);
        mac.verify_slice(&code).map_err(|_| SharingError::Url)?;
        let ticket: Ticket = serde_json::from_slice(&text).map_err(|_| SharingError::Url)?;
        match now < ticket.until {
            true => Ok(ticket),
            false => Err(SharingError::Url),
        }
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(key: u8) -> Signer {
        Signer(<Hmac<Sha256> as Mac>::new(&[key; 64].into()))
    }

    #[test]
    fn holds_as_it_is_and_until_its_end() {
        let ticket = Ticket {
            table: "t".to_owned(),
            version: 3,
            file: "part-1.parquet".to_owned(),
            changes: false,
            principal: "ada".to_owned(),
            roles: vec!["trainer".to_owned(), "nobody".to_owned()],
            until: 1000,
        };
        let token = signer(1).sign(&ticket).unwrap();
        assert_eq!(signer(1).check(&token, 999).unwrap(), ticket);
        assert_eq!(ticket.principal().roles, [Role::Trainer]);
        for (signer, token, now) in [
            (signer(1), token.clone(), 1000),
            (signer(2), token.clone(), 0),
            (signer(1), token.replace('.', ""), 0),
            (signer(1), String::new(), 0),
            (signer(1), ".".to_owned(), 0),
        ] {
            assert!(matches!(signer.check(&token, now), Err(SharingError::Url)), "{token}");
        }
        // Every letter counts.
        for at in 0..token.len() {
            let other = if token.as_bytes()[at] == b'A' { "B" } else { "A" };
            let mut changed = token.clone();
            changed.replace_range(at..=at, other);
            assert!(signer(1).check(&changed, 0).is_err(), "{at}");
        }
    }
}
