//! The proof that somebody's data is gone.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a certificate's `format` says.
pub const CERTIFICATE_FORMAT: &str = "stedi certificate 1";

/// A signed proof of revocations or erasures that were carried out together.
///
/// It is JSON in canonical form (RFC 8785). `signature` is Ed25519 (RFC 8032) over the canonical form
/// of everything but `signature`. `previous` chains it to the certificate before it, so that none can
/// be taken away or made later. It names nobody: whoever holds the service's key can tell whether a
/// `subject` is a given person, nobody else can.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// `stedi certificate 1`.
    pub format: String,
    /// Its number, from 1.
    pub sequence: u64,
    /// SHA-256 of the certificate before it, as it is stored, in hexadecimal digits; null for the
    /// first.
    pub previous: Option<String>,
    /// The work that it proves. One work has one certificate.
    pub work: String,
    /// What was carried out.
    pub kind: CertificateKind,
    /// The requests that it answers.
    pub requests: Vec<CertifiedRequest>,
    /// When what happened.
    pub times: CertifiedTimes,
    /// What happened to each table.
    pub tables: Vec<CertifiedTable>,
    /// The scan that found nothing any more.
    pub scan: CertifiedScan,
    /// Snapshots that were redacted.
    pub snapshots: Vec<CertifiedSnapshot>,
    /// Who had received the data before, and was told or must be.
    pub recipients: Vec<String>,
    /// What it does not cover.
    pub excluded: Vec<CertifiedExclusion>,
    /// Which key signed it: the first 16 hexadecimal digits of the SHA-256 of the public key.
    pub key: String,
    /// The signature, in base64 (RFC 4648, section 4).
    pub signature: String,
}

/// What a certificate proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CertificateKind {
    /// Gone from everywhere but the landing zone.
    Revocation,
    /// Gone from everywhere.
    Erasure,
}

impl CertificateKind {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Revocation => "revocation",
            Self::Erasure => "erasure",
        }
    }
}

/// A request that was carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CertifiedRequest {
    /// Its id.
    pub id: String,
    /// A keyed reference to whose it is.
    pub subject: String,
    /// When it was made, in epoch milliseconds.
    pub requested: i64,
    /// Since when no read returned the subject, in epoch milliseconds.
    pub acknowledged: i64,
}

/// When what happened, in epoch milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CertifiedTimes {
    /// The rows were gone from every table.
    pub deleted: i64,
    /// Nothing was left of what the tables were before.
    pub purged: i64,
    /// The scan ended.
    pub verified: i64,
    /// This was signed.
    pub issued: i64,
}

/// What happened to one table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CertifiedTable {
    /// The table.
    pub table: String,
    /// Its version before.
    pub version_before: u64,
    /// Its version after.
    pub version_after: u64,
    /// The version with which its history begins now.
    pub history_from: u64,
    /// Rows before.
    pub rows_before: u64,
    /// Rows after.
    pub rows_after: u64,
    /// Data files that were written in the place of others.
    pub files_rewritten: u64,
    /// Their bytes.
    pub bytes_rewritten: u64,
    /// Files of data and change data that were removed.
    pub files_removed: u64,
    /// Their bytes.
    pub bytes_removed: u64,
    /// Commits that were removed from its log.
    pub commits_removed: u64,
}

/// What the scan looked at. It found nothing, or there were no certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CertifiedScan {
    /// Folders of the lake that were left out.
    pub except: Vec<String>,
    /// Objects that were read.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Parquet files among them.
    pub parquet_files: u64,
    /// Pages and dictionaries that were decoded.
    pub pages: u64,
    /// Rows that were decoded.
    pub rows: u64,
    /// What was looked for, by kind and how many of each.
    pub identifiers: Vec<CertifiedIdentifier>,
}

/// A kind of identifier that was looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CertifiedIdentifier {
    /// Such as `email`.
    pub kind: String,
    /// How many.
    pub count: u64,
}

/// A snapshot that was redacted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CertifiedSnapshot {
    /// Its id, which is not answered any more.
    pub id: String,
    /// The one in its place.
    pub superseded_by: String,
}

/// What a certificate does not cover.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CertifiedExclusion {
    /// What, in words.
    pub what: String,
    /// Why.
    pub why: String,
    /// Until when, in epoch milliseconds, where that is known.
    pub until: Option<i64>,
}
