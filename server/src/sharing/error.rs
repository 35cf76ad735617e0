//! What can go wrong with what is shared.

use stedi_openapi::Code;

use crate::lake::{LakeError, failure};
use crate::ledger::DenyError;
use crate::query::QueryError;

/// Something that is not shared.
#[derive(Debug, thiserror::Error)]
pub enum SharingError {
    /// A share that is not there.
    #[error("there is no share {0}")]
    NoShare(String),
    /// A schema that is not there.
    #[error("there is no schema {0}")]
    NoSchema(String),
    /// A parameter that cannot be read, or does not go with another one.
    #[error("{0}")]
    Malformed(String),
    /// Changes that are not given.
    #[error("changes of table {table} are not shared: {reason}")]
    NoChanges {
        /// The table.
        table: String,
        /// Why.
        reason: String,
    },
    /// A URL that is not one of ours, or not any more.
    #[error("the URL of the file is not valid, or not any more; ask for the files again")]
    Url,
    /// A file that is not there any more.
    #[error("the file is not there any more; ask for the files again")]
    Gone,
    /// The table, or its moment.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The lake.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// A task that came to no end.
    #[error("task: {0}")]
    Task(String),
}

impl From<DenyError> for SharingError {
    fn from(error: DenyError) -> Self {
        Self::Query(error.into())
    }
}

impl SharingError {
    /// The stable word.
    pub fn code(&self) -> Code {
        match self {
            Self::NoShare(_) | Self::NoSchema(_) => Code::NotFound,
            Self::Malformed(_) | Self::NoChanges { .. } => Code::Malformed,
            Self::Url => Code::UrlInvalid,
            Self::Gone => Code::FileGone,
            Self::Query(error) => error.code(),
            Self::Task(_) => Code::Internal,
            Self::Lake(error) => failure(error),
        }
    }
}
