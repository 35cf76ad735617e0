//! What can go wrong with snapshots.

use deltalake::datafusion::common::DataFusionError;
use stedi_openapi::Code;

use crate::lake::{LakeError, failure};
use crate::ledger::audit::AuditError;
use crate::ledger::{DenyError, LedgerError};
use crate::query::QueryError;

/// A snapshot that is not made or not given.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// There is no such snapshot, or none for the caller.
    #[error("there is no snapshot {0}")]
    Unknown(String),
    /// There is no such table in the pipeline, or none for the caller.
    #[error("there is no table {0} of which a snapshot can be made")]
    UnknownTable(String),
    /// The snapshot does not have it.
    #[error("the snapshot has no {0}")]
    NotInIt(String),
    /// A name that none can have.
    #[error(
        "name: 1 to 64 letters, digits, '.', '_' and '-', not 'latest', and not 64 hexadecimal digits"
    )]
    Name,
    /// Another snapshot has the name.
    #[error("another snapshot is called {0}")]
    NameTaken(String),
    /// The key was used for something else.
    #[error("this Idempotency-Key was used with another body")]
    KeyReused,
    /// Rows of it are not given any more.
    #[error("a consent ended: the snapshot {superseded_by} is the same without the rows")]
    Redacted {
        /// The snapshot without them.
        superseded_by: String,
    },
    /// Rows of it must not be given any more, and are being taken out.
    #[error("a consent ended, and the snapshot is being rewritten without its rows; ask again")]
    Redacting,
    /// What is asked of its rows makes no sense.
    #[error("{0}")]
    Asked(String),
    /// Files went while they were pinned.
    #[error("the tables change too quickly; nothing was made")]
    Contended,
    /// A manifest cannot be written.
    #[error("manifest: {0}")]
    Manifest(String),
    /// The lake.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// Pins.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Whose rows are denied is not known.
    #[error(transparent)]
    Deny(#[from] DenyError),
    /// Rows.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// It cannot be recorded.
    #[error(transparent)]
    Audit(#[from] AuditError),
}

impl SnapshotError {
    /// What kind of problem it is.
    pub fn code(&self) -> Code {
        match self {
            Self::Unknown(_) | Self::NotInIt(_) => Code::SnapshotNotFound,
            Self::UnknownTable(_) => Code::TableNotFound,
            Self::Name | Self::Asked(_) => Code::Malformed,
            Self::NameTaken(_) => Code::NameTaken,
            Self::KeyReused => Code::KeyReused,
            Self::Redacted { .. } => Code::Redacted,
            Self::Redacting | Self::Deny(DenyError::Changed) => Code::Redacting,
            Self::Deny(DenyError::Unknown(_)) => Code::ConsentUnknown,
            Self::Contended => Code::Conflict,
            Self::Manifest(_) => Code::Internal,
            Self::Lake(error) => failure(error),
            Self::Ledger(error) => error.code(),
            Self::Query(error) => error.code(),
            Self::Audit(AuditError::Lake(_) | AuditError::Records(_) | AuditError::Answer(_)) => {
                Code::Internal
            }
            Self::Audit(_) => Code::AuditUnavailable,
        }
    }

    pub(super) fn reading(table: &str) -> impl Fn(DataFusionError) -> Self + Copy + '_ {
        move |source| {
            Self::Lake(LakeError::Plan { table: table.to_owned(), source: Box::new(source) })
        }
    }
}
