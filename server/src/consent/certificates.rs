//! Certificates: signed, numbered, each chained to the one before it.
//!
//! They are objects `system/certificates/<number>.json`, created with `If-None-Match: *`, so that of two
//! servers one issues a number. Nothing in them names a person, so they stay for ever.

use sha2::{Digest, Sha256};
use stedi_openapi::{
    CERTIFICATE_FORMAT, Certificate, CertificateKind, CertifiedExclusion, CertifiedRequest,
    CertifiedScan, CertifiedSnapshot, CertifiedTable, CertifiedTimes,
};

use super::error::CertificateError;
use super::signing_key::SigningKey;
use crate::lake::Lake;

const FOLDER: &str = "system/certificates";
/// How often a number is tried that others take.
const ATTEMPTS: usize = 50;

/// What a certificate is to say.
#[derive(Clone, Debug)]
pub struct CertificateDraft {
    /// The work that it proves. One work has one certificate, however often it is asked for.
    pub work: String,
    /// What was carried out.
    pub kind: CertificateKind,
    /// The requests, with [`SigningKey::reference`] for whose they are.
    pub requests: Vec<CertifiedRequest>,
    /// When what happened; `issued` too.
    pub times: CertifiedTimes,
    /// What happened to each table.
    pub tables: Vec<CertifiedTable>,
    /// What the scan looked at.
    pub scan: CertifiedScan,
    /// Snapshots that were redacted.
    pub snapshots: Vec<CertifiedSnapshot>,
    /// Who had received the data before.
    pub recipients: Vec<String>,
    /// What it does not cover.
    pub excluded: Vec<CertifiedExclusion>,
}

/// The certificates of a lake.
#[derive(Clone, Debug)]
pub struct Certificates {
    lake: Lake,
    key: SigningKey,
}

impl Certificates {
    /// Those of a lake, signed with this key.
    pub fn new(lake: Lake, key: SigningKey) -> Self {
        Self { lake, key }
    }

    /// The key that signs them.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Issues the certificate of a work, or gives the one that it has.
    ///
    /// # Errors
    /// Also if one that was issued before cannot be read: nothing is chained to it then.
    pub async fn issue(&self, draft: &CertificateDraft) -> Result<Certificate, CertificateError> {
        for _ in 0..ATTEMPTS {
            let newest = self.newest().await?;
            if let Some(issued) = self.of_work(newest, draft).await? {
                return Ok(issued);
            }
            let previous = match newest {
                0 => None,
                newest => Some(digest(&self.bytes(newest).await?)),
            };
            let certificate = self.signed(newest + 1, previous, draft)?;
            let bytes = serde_json_canonicalizer::to_vec(&certificate)?;
            if self.lake.create_object(&path(newest + 1), bytes).await? {
                return Ok(certificate);
            }
        }
        Err(CertificateError::Contended)
    }

    /// A certificate as it was signed, byte for byte; `None` if there is none of this number.
    ///
    /// # Errors
    /// [`CertificateError::Lake`]
    pub async fn get(&self, sequence: u64) -> Result<Option<Vec<u8>>, CertificateError> {
        Ok(self.lake.read_object(&path(sequence)).await?)
    }

    /// The newest number; 0 if there is none.
    ///
    /// # Errors
    /// [`CertificateError::Lake`]
    pub async fn newest(&self) -> Result<u64, CertificateError> {
        let names = self.lake.list_objects(FOLDER).await?;
        let numbers = names.iter().filter_map(|name| name.strip_suffix(".json")?.parse().ok());
        Ok(numbers.max().unwrap_or_default())
    }

    /// The certificate that a work has already. It cannot be older than the work's first request.
    async fn of_work(
        &self,
        newest: u64,
        draft: &CertificateDraft,
    ) -> Result<Option<Certificate>, CertificateError> {
        let since = draft.requests.iter().map(|request| request.requested).min();
        for sequence in (1..=newest).rev() {
            let certificate: Certificate = serde_json::from_slice(&self.bytes(sequence).await?)
                .map_err(|error| broken(sequence, error.to_string()))?;
            if certificate.work == draft.work {
                return Ok(Some(certificate));
            }
            if since.is_none_or(|since| certificate.times.issued < since) {
                break;
            }
        }
        Ok(None)
    }

    async fn bytes(&self, sequence: u64) -> Result<Vec<u8>, CertificateError> {
        self.get(sequence).await?.ok_or_else(|| broken(sequence, "it is not there".to_owned()))
    }

    fn signed(
        &self,
        sequence: u64,
        previous: Option<String>,
        draft: &CertificateDraft,
    ) -> Result<Certificate, CertificateError> {
        let draft = draft.clone();
        let mut certificate = Certificate {
            format: CERTIFICATE_FORMAT.to_owned(),
            sequence,
            previous,
            work: draft.work,
            kind: draft.kind,
            requests: draft.requests,
            times: draft.times,
            tables: draft.tables,
            scan: draft.scan,
            snapshots: draft.snapshots,
            recipients: draft.recipients,
            excluded: draft.excluded,
            key: self.key.id(),
            signature: String::new(),
        };
        let mut value = serde_json::to_value(&certificate)?;
        if let Some(fields) = value.as_object_mut() {
            fields.remove("signature");
        }
        certificate.signature = self.key.sign(&serde_json_canonicalizer::to_vec(&value)?);
        Ok(certificate)
    }
}

fn path(sequence: u64) -> String {
    format!("{FOLDER}/{sequence:020}.json")
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn broken(sequence: u64, reason: String) -> CertificateError {
    CertificateError::Broken { sequence, reason }
}
