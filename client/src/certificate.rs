//! Certificates are checked offline: with their bytes and the service's public key alone.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::Value;
use stedi_openapi::{CERTIFICATE_FORMAT, Certificate};

/// What a public key of Ed25519 begins with as SubjectPublicKeyInfo (RFC 8410, section 4).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// Bytes of a public key.
const KEY_BYTES: usize = 32;
/// Hexadecimal digits of a key's id.
const ID_DIGITS: usize = 16;

/// Why a certificate proves nothing.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CertificateError {
    /// The key is not a public key of Ed25519 as PEM.
    #[error("the key is not a public key of Ed25519 (PEM)")]
    Key,
    /// Not a certificate.
    #[error("it is not a certificate: {0}")]
    Form(String),
    /// The same content in other bytes than were signed.
    #[error("it is not in canonical form (RFC 8785)")]
    NotCanonical,
    /// Another key signed it.
    #[error("it was signed with the key {0}, not with this one")]
    OtherKey(String),
    /// It was changed after it was signed, or this key did not sign it.
    #[error("the signature is wrong")]
    Signature,
    /// One is missing between two of them.
    #[error("certificate {0} is missing: those before and after it cannot be chained")]
    Missing(u64),
    /// There are two of the same number.
    #[error("there are two certificates {0}")]
    Twice(u64),
    /// It does not follow from the one before it.
    #[error("it does not follow certificate {0}")]
    NotChained(u64),
}

/// A service's public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateKey([u8; KEY_BYTES]);

/// A certificate whose signature and form are right.
#[derive(Clone, Debug)]
pub struct Verified {
    /// What it says.
    pub certificate: Certificate,
    /// SHA-256 of its bytes, in hexadecimal digits.
    pub digest: String,
}

impl CertificateKey {
    /// Reads a public key from PEM.
    ///
    /// # Errors
    /// [`CertificateError::Key`]
    pub fn parse(pem: &str) -> Result<Self, CertificateError> {
        let lines: Vec<&str> = pem.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let ["-----BEGIN PUBLIC KEY-----", text @ .., "-----END PUBLIC KEY-----"] = &lines[..]
        else {
            return Err(CertificateError::Key);
        };
        let bytes = STANDARD.decode(text.concat()).map_err(|_| CertificateError::Key)?;
        let key = bytes.strip_prefix(SPKI.as_slice()).ok_or(CertificateError::Key)?;
        key.try_into().map(Self).map_err(|_| CertificateError::Key)
    }

    /// Tells keys apart: the first 16 hexadecimal digits of the SHA-256 of the key.
    pub fn id(&self) -> String {
        sha256(&self.0).chars().take(ID_DIGITS).collect()
    }

    /// Checks one certificate by itself: its form, and the signature.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn verify(&self, bytes: &[u8]) -> Result<Verified, CertificateError> {
        // An end of line may have been added where it was saved.
        let bytes = bytes.trim_ascii_end();
        let form = |error: serde_json::Error| CertificateError::Form(error.to_string());
        let certificate: Certificate = serde_json::from_slice(bytes).map_err(form)?;
        if certificate.format != CERTIFICATE_FORMAT {
            return Err(CertificateError::Form(format!("format {:?}", certificate.format)));
        }
        let mut value: Value = serde_json::from_slice(bytes).map_err(form)?;
        if serde_json_canonicalizer::to_vec(&value).map_err(form)? != bytes {
            return Err(CertificateError::NotCanonical);
        }
        if certificate.key != self.id() {
            return Err(CertificateError::OtherKey(certificate.key));
        }
        if let Some(fields) = value.as_object_mut() {
            fields.remove("signature");
        }
        let message = serde_json_canonicalizer::to_vec(&value).map_err(form)?;
        let signature =
            STANDARD.decode(&certificate.signature).map_err(|_| CertificateError::Signature)?;
        UnparsedPublicKey::new(&ED25519, self.0.as_slice())
            .verify(&message, &signature)
            .map_err(|_| CertificateError::Signature)?;
        Ok(Verified { certificate, digest: sha256(bytes) })
    }
}

/// Checks that certificates follow one another, without a gap; in any order.
///
/// # Errors
/// [`CertificateError::Twice`], [`CertificateError::Missing`], [`CertificateError::NotChained`].
pub fn chained(certificates: &mut [Verified]) -> Result<(), CertificateError> {
    certificates.sort_by_key(|it| it.certificate.sequence);
    if let Some(first) = certificates.first()
        && (first.certificate.sequence == 1) != first.certificate.previous.is_none()
    {
        return Err(CertificateError::NotChained(first.certificate.sequence.saturating_sub(1)));
    }
    for pair in certificates.windows(2) {
        let [before, after] = pair else { continue };
        let (first, second) = (before.certificate.sequence, after.certificate.sequence);
        if first == second {
            return Err(CertificateError::Twice(first));
        }
        if first + 1 != second {
            return Err(CertificateError::Missing(first + 1));
        }
        if after.certificate.previous.as_ref() != Some(&before.digest) {
            return Err(CertificateError::NotChained(first));
        }
    }
    Ok(())
}

fn sha256(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
