//! What can go wrong with consent and its certificates.

use std::io;
use std::path::PathBuf;

use deltalake::datafusion::error::DataFusionError;
use stedi_openapi::Code;

use crate::lake::{LakeError, NeedleError, failure};
use crate::landing::LandingError;
use crate::ledger::LedgerError;
use crate::ledger::audit::AuditError;
use crate::maintenance::MaintenanceError;
use crate::promotion::PromotionError;
use crate::query::StatementError;
use crate::snapshot::SnapshotError;

/// A certificate that cannot be issued or read.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The key that signs them cannot be read or made.
    #[error("certificate key {file}: {source}")]
    KeyFile {
        /// Its file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The key is none.
    #[error("the certificate key is not one of Ed25519")]
    Key,
    /// One that was issued is not what it should be.
    #[error("certificate {sequence}: {reason}")]
    Broken {
        /// Its number.
        sequence: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// It cannot be written as JSON.
    #[error("certificate: {0}")]
    Form(#[from] serde_json::Error),
    /// Others kept issuing certificates.
    #[error("others kept issuing certificates at the same time")]
    Contended,
    /// The lake cannot be read or written.
    #[error(transparent)]
    Lake(#[from] LakeError),
}

/// A revocation that is not opened, or cannot go on now.
#[derive(Debug, thiserror::Error)]
pub enum ConsentError {
    /// The pipeline has no consent.
    #[error("this pipeline has no revocations")]
    NoRevocations,
    /// The request names nobody, or somebody twice over.
    #[error("a request names one e-mail or one serial number, or several requests, each with one")]
    Malformed,
    /// A legal hold without a reason.
    #[error("a legal hold needs a reason")]
    NoReason,
    /// The reason names the customer.
    #[error("the reason names the customer; it is kept where nothing may name them")]
    ReasonNames,
    /// There are no records of a customer.
    #[error("request {0}: there is no such customer")]
    UnknownCustomer(usize),
    /// A customer is held for a legal reason.
    #[error("request {number}: a legal hold is on this customer: {reason}")]
    Held {
        /// The request; the first is 0.
        number: usize,
        /// Why.
        reason: String,
    },
    /// A customer is being erased.
    #[error("request {number}: erasure {id} of this customer is open")]
    ErasureOpen {
        /// The request; the first is 0.
        number: usize,
        /// The erasure.
        id: String,
    },
    /// There is no such hold.
    #[error("there is no legal hold {0}")]
    NoHold(String),
    /// What an order is about is not there, though it has not ended.
    #[error("whom {0} is about cannot be found out")]
    NoSecret(String),
    /// Nothing is proved yet.
    #[error("there is no certificate of {0} yet")]
    NoCertificate(String),
    /// Several customers claim a device.
    #[error("request {0}: several customers claim this device; name one by e-mail")]
    Shared(usize),
    /// It is not long work that can be kept.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// It cannot be recorded.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// Revocations cannot be kept.
    #[error(transparent)]
    Landing(#[from] LandingError),
    /// Derived tables, or who claims what.
    #[error(transparent)]
    Promotion(#[from] PromotionError),
    /// A table cannot be looked through.
    #[error("table {table}: {source}")]
    Look {
        /// The table.
        table: String,
        /// What DataFusion says.
        source: Box<DataFusionError>,
    },
    /// What names a customer cannot be looked for.
    #[error(transparent)]
    Needle(#[from] NeedleError),
    /// No certificate can be issued.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A kept statement cannot be removed.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// The lake cannot be read or written.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// Snapshots cannot be redacted.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A table cannot be purged.
    #[error(transparent)]
    Maintenance(#[from] MaintenanceError),
}

impl ConsentError {
    /// What kind of problem it is.
    pub fn code(&self) -> Code {
        match self {
            Self::NoRevocations => Code::NotFound,
            Self::Malformed | Self::NoReason | Self::ReasonNames => Code::Malformed,
            Self::UnknownCustomer(_) => Code::CustomerNotFound,
            Self::Held { .. } => Code::LegalHold,
            Self::ErasureOpen { .. } => Code::ErasureOpen,
            Self::NoHold(_) => Code::LegalHoldNotFound,
            Self::NoCertificate(_) => Code::CertificateNotFound,
            Self::Shared(_) => Code::DeviceShared,
            Self::Ledger(error) => error.code(),
            Self::Snapshot(error) => error.code(),
            Self::Audit(_) => Code::AuditUnavailable,
            Self::Landing(error) => error.code(),
            Self::Promotion(error) => error.code(),
            Self::Maintenance(error) => error.code(),
            Self::Look { .. }
            | Self::NoSecret(_)
            | Self::Needle(_)
            | Self::Certificate(_)
            | Self::Statement(_) => Code::Internal,
            Self::Lake(error) => failure(error),
        }
    }
}
