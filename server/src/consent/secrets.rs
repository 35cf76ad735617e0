//! Whom open work is about. Orders lie in the lake for a year and name nobody: they have keyed
//! references. Who is behind these is sealed in an object of its own, which goes with the end.
//!
//! - `system/revocations/sealed/<kind>-<id>.json`

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use stedi_openapi::CertificateKind;

use super::error::ConsentError;
use super::needles::{Identifier, Identifiers};
use crate::lake::Lake;
use crate::ledger::{LedgerError, Sealed, Sealer, SubjectKey};

/// Where they are.
pub(super) const FOLDER: &str = "system/revocations/sealed";
/// Hexadecimal digits of a reference.
const REFERENCE: usize = 32;

/// Whom work is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Secret {
    /// Pseudonyms.
    pub subjects: BTreeSet<String>,
    /// What names them, and whom of them. Of a revocation nothing: landing keeps it.
    identifiers: Vec<(Identifier, BTreeSet<String>)>,
}

impl Secret {
    /// About these, who are named by that.
    pub fn new(subjects: BTreeSet<String>, identifiers: Identifiers) -> Self {
        Self { subjects, identifiers: identifiers.into_iter().collect() }
    }

    /// What names them.
    pub fn identifiers(&self) -> Identifiers {
        self.identifiers.iter().cloned().collect()
    }

    /// With more that names them. False if there is nothing new in it.
    pub fn learn(&mut self, more: Identifiers) -> bool {
        let before = self.identifiers();
        let mut all = before.clone();
        for (identifier, of) in more {
            let of: BTreeSet<String> = of.intersection(&self.subjects).cloned().collect();
            if !of.is_empty() {
                all.entry(identifier).or_default().extend(of);
            }
        }
        let new = all != before;
        self.identifiers = all.into_iter().collect();
        new
    }

    /// Their e-mails.
    pub fn emails(&self) -> BTreeSet<String> {
        let email = |identifier: &Identifier| match identifier {
            Identifier::Email(email) => Some(email.clone()),
            _ => None,
        };
        self.identifiers.iter().filter_map(|(identifier, _)| email(identifier)).collect()
    }

    /// The devices that they claim.
    pub fn devices(&self) -> BTreeSet<String> {
        let device = |identifier: &Identifier| match identifier {
            Identifier::Device(device) => Some(device.clone()),
            _ => None,
        };
        self.identifiers.iter().filter_map(|(identifier, _)| device(identifier)).collect()
    }
}

/// The secrets of open work; clones are the same.
#[derive(Clone)]
pub struct Secrets {
    lake: Lake,
    sealer: Arc<Sealer>,
    references: Hmac<Sha256>,
}

impl Secrets {
    /// Those of a lake, under keys that are derived from that of its pseudonyms: every server has it.
    ///
    /// # Errors
    /// [`LedgerError::Seal`]
    pub fn new(lake: Lake, key: &SubjectKey) -> Result<Self, LedgerError> {
        let sealed = key.derived("sealed orders 1").finalize().into_bytes().into();
        let sealer = Arc::new(Sealer::new(&sealed)?);
        Ok(Self { lake, sealer, references: key.derived("references in orders 1") })
    }

    /// A keyed reference to somebody by their pseudonym, or by what a request names them with. It can
    /// stay in the lake for good: it is not the pseudonym.
    pub(super) fn reference(&self, to: &str) -> String {
        let mut mac = self.references.clone();
        mac.update(to.as_bytes());
        let code = hex::encode(mac.finalize().into_bytes());
        code.chars().take(REFERENCE).collect()
    }

    /// Keeps the secret of some work.
    pub(super) async fn put(
        &self,
        (kind, id): (CertificateKind, &str),
        secret: &Secret,
    ) -> Result<(), ConsentError> {
        let path = path(kind, id);
        let unwritable = |error: serde_json::Error| LedgerError::Unreadable {
            path: path.clone(),
            reason: error.to_string(),
        };
        let bytes = serde_json::to_vec(secret).map_err(unwritable)?;
        let sealed = self.sealer.seal(id, &bytes)?;
        let bytes = serde_json::to_vec(&sealed).map_err(unwritable)?;
        Ok(self.lake.put_object(&path, bytes).await?)
    }

    /// The secret of some work; `None` once it has ended.
    pub(super) async fn get(
        &self,
        (kind, id): (CertificateKind, &str),
    ) -> Result<Option<Secret>, ConsentError> {
        let path = path(kind, id);
        let Some(bytes) = self.lake.read_object(&path).await? else { return Ok(None) };
        let unreadable = |error: serde_json::Error| LedgerError::Unreadable {
            path: path.clone(),
            reason: error.to_string(),
        };
        let sealed: Sealed = serde_json::from_slice(&bytes).map_err(unreadable)?;
        let bytes = self.sealer.open(id, &sealed)?;
        Ok(Some(serde_json::from_slice(&bytes).map_err(unreadable)?))
    }

    /// Removes the secret of some work.
    pub(super) async fn remove(
        &self,
        (kind, id): (CertificateKind, &str),
    ) -> Result<(), ConsentError> {
        Ok(self.lake.remove_object(&path(kind, id)).await?)
    }

    /// The ids of the erasures that have one: those that are open, or failed.
    pub(super) async fn erasures(&self) -> Result<Vec<String>, ConsentError> {
        let names = self.lake.list_objects(FOLDER).await?;
        let prefix = format!("{}-", CertificateKind::Erasure.name());
        let id =
            |name: &String| Some(name.strip_prefix(&prefix)?.strip_suffix(".json")?.to_owned());
        Ok(names.iter().filter_map(id).collect())
    }

    /// The work whose secrets were written last before a moment, in epoch milliseconds.
    pub(super) async fn older(
        &self,
        before: i64,
    ) -> Result<Vec<(CertificateKind, String)>, ConsentError> {
        let names = self.lake.list_objects_before(FOLDER, before).await?;
        let kinds = [CertificateKind::Revocation, CertificateKind::Erasure];
        let of = |name: &String| {
            let (word, id) = name.strip_suffix(".json")?.split_once('-')?;
            let kind = kinds.into_iter().find(|kind| kind.name() == word)?;
            Some((kind, id.to_owned()))
        };
        Ok(names.iter().filter_map(of).collect())
    }

    /// What erasures that failed know of some customers, whose records are gone since.
    pub(super) async fn known(
        &self,
        subjects: &BTreeSet<String>,
    ) -> Result<Identifiers, ConsentError> {
        let mut known: Identifiers = BTreeMap::new();
        for id in self.erasures().await? {
            let secret = self.get((CertificateKind::Erasure, &id)).await?.unwrap_or_default();
            for (identifier, of) in secret.identifiers() {
                known.entry(identifier).or_default().extend(of.intersection(subjects).cloned());
            }
        }
        known.retain(|_, of| !of.is_empty());
        Ok(known)
    }

    /// Takes customers out of what erasures that failed know: nothing of them is left.
    pub(super) async fn forget(&self, subjects: &BTreeSet<String>) -> Result<(), ConsentError> {
        for id in self.erasures().await? {
            let key = (CertificateKind::Erasure, id.as_str());
            let Some(mut secret) = self.get(key).await? else { continue };
            let before = secret.subjects.len();
            secret.subjects.retain(|subject| !subjects.contains(subject));
            if secret.subjects.is_empty() {
                self.remove(key).await?;
            } else if secret.subjects.len() < before {
                let left = secret.identifiers();
                secret.identifiers.clear();
                secret.learn(left);
                self.put(key, &secret).await?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")
    }
}

fn path(kind: CertificateKind, id: &str) -> String {
    format!("{FOLDER}/{}-{id}.json", kind.name())
}
