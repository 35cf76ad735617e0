//! What can go wrong with a load as a whole. What is wrong with a record is a reason, not an error.

use std::path::PathBuf;

use deltalake::datafusion::error::DataFusionError;

use stedi_openapi::{Code, Problem};

use super::import::NotAllowed;
use crate::lake::{LakeError, failure};
use crate::ledger::LedgerError;
use crate::ledger::audit::AuditError;

/// A load that did not happen: nothing of it is in the lake.
#[derive(Debug, thiserror::Error)]
pub enum LandingError {
    /// The pipeline has no such landing table.
    #[error("there is no landing table {0}")]
    UnknownTable(String),
    /// The server writes it, and nobody else.
    #[error("nothing is loaded into {0}: the server keeps revocations there")]
    NotLoaded(String),
    /// The pipeline does not know of consent.
    #[error("this pipeline has no revocations")]
    NoRevocations,
    /// The bytes could not be read.
    #[error("{name}: cannot be read: {source}")]
    Read {
        /// The file or stream.
        name: String,
        /// Why.
        source: std::io::Error,
    },
    /// More bytes than a load may have.
    #[error("the content has more than {bytes} bytes, decompressed; nothing of it is loaded")]
    TooLarge {
        /// Bytes that are allowed.
        bytes: u64,
    },
    /// As many loads run as may run at once.
    #[error("as many loads run as may run at once; try again")]
    Busy,
    /// A folder of files could not be listed.
    #[error("{}: cannot be read: {source}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Rows could not be put into columns.
    #[error("{name}: {source}")]
    Rows {
        /// The file or stream.
        name: String,
        /// Why.
        source: deltalake::arrow::error::ArrowError,
    },
    /// The work was given up, for instance because the server stops.
    #[error("{name}: the load was given up")]
    Abandoned {
        /// The file or stream.
        name: String,
    },
    /// The table in the lake is not the one that the pipeline declares.
    #[error(
        "table {0} in the lake has other columns than the pipeline declares; landing tables keep \
         what was received and are not rebuilt"
    )]
    OtherColumns(String),
    /// The same key with another content, or for another table.
    #[error("this Idempotency-Key was used for another load; nothing of this one is loaded")]
    KeyReused,
    /// What is remembered of loads cannot be read.
    #[error("object {path}: {reason}")]
    Memory {
        /// Its path below the lake's root.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The rows of a table cannot be looked through.
    #[error("table {table}: {source}")]
    Look {
        /// The table.
        table: String,
        /// What DataFusion says.
        source: Box<DataFusionError>,
    },
    /// Nothing may be imported from there.
    #[error(transparent)]
    Source(#[from] NotAllowed),
    /// It cannot be recorded.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The objects or the lease of an import.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The lake cannot be read or written.
    #[error(transparent)]
    Lake(#[from] LakeError),
}

impl LandingError {
    /// What kind of problem it is.
    pub fn code(&self) -> Code {
        match self {
            Self::UnknownTable(_) | Self::NotLoaded(_) => Code::TableNotFound,
            Self::NoRevocations => Code::NotFound,
            Self::Source(_) => Code::SourceNotAllowed,
            Self::Read { .. } => Code::BodyBroken,
            Self::TooLarge { .. } => Code::BodyTooLarge,
            Self::KeyReused => Code::KeyReused,
            Self::Ledger(error) => error.code(),
            Self::Busy => Code::Busy,
            Self::Lake(LakeError::Conflict { .. }) => Code::Conflict,
            Self::Audit(_) => Code::AuditUnavailable,
            _ => failure(self),
        }
    }

    /// What whoever asked is told: no paths but those that they named.
    pub fn problem(&self) -> Problem {
        let detail = match self.code() {
            Code::Internal => "the server failed; its log says why".to_owned(),
            Code::StorageFull => Code::StorageFull.meaning().to_owned(),
            Code::BodyBroken => "it broke off; nothing of it is loaded".to_owned(),
            Code::AuditUnavailable => "it cannot be recorded at the moment".to_owned(),
            _ => self.to_string(),
        };
        Problem::of(self.code(), detail)
    }
}
