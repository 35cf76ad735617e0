//! What can go wrong with maintenance.

use stedi_openapi::{Code, Problem};

use crate::lake::{LakeError, failure};
use crate::ledger::LedgerError;
use crate::ledger::audit::AuditError;

/// A table that is not maintained.
#[derive(Debug, thiserror::Error)]
pub enum MaintenanceError {
    /// There is no such table.
    #[error("there is no table {0}")]
    UnknownTable(String),
    /// No tables were named.
    #[error("no tables are named")]
    NoTables,
    /// The lake cannot be read or written.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// A lease or an order cannot be read or written, or a key was used with another body.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// It cannot be recorded.
    #[error(transparent)]
    Audit(#[from] AuditError),
}

impl MaintenanceError {
    /// What kind of problem it is.
    pub fn code(&self) -> Code {
        match self {
            Self::UnknownTable(_) => Code::TableNotFound,
            Self::NoTables => Code::Malformed,
            Self::Audit(AuditError::Lake(_) | AuditError::Records(_) | AuditError::Answer(_)) => {
                Code::Internal
            }
            Self::Audit(_) => Code::AuditUnavailable,
            Self::Ledger(error) => error.code(),
            Self::Lake(error) => failure(error),
        }
    }

    /// What whoever asked is told; the log says the rest.
    pub(super) fn problem(&self) -> Problem {
        match self.code() {
            Code::StorageFull => Problem::of(Code::StorageFull, Code::StorageFull.meaning()),
            _ => Problem::of(Code::Internal, "the server failed; its log says why"),
        }
    }
}
