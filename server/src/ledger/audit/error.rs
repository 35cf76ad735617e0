//! What can go wrong with the audit.

use std::path::PathBuf;

use deltalake::arrow::error::ArrowError;
use deltalake::datafusion::error::DataFusionError;

use crate::lake::LakeError;

/// A record that cannot be written or read. Whoever gets one while writing refuses the request:
/// what cannot be recorded does not happen.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// A file of the audit in the state folder cannot be used.
    #[error("audit {}: {source}", file.display())]
    File {
        /// The file or folder.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The journal takes no record at the moment: its disk is full or broken.
    #[error("the journal of the audit cannot be written")]
    Unwritable,
    /// The journal holds all that it may: the lake has taken no records for too long.
    #[error("the journal of the audit is full")]
    Full,
    /// The audit was closed: the server is stopping.
    #[error("the audit is closed")]
    Closed,
    /// The table of the audit has other columns than this server writes.
    #[error("the lake's table {0} has other columns than this server writes")]
    OtherColumns(&'static str),
    /// The lake cannot be read or written.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// Records cannot be brought into the table's form or out of it.
    #[error("records of the audit: {0}")]
    Records(Box<DataFusionError>),
    /// An answer cannot be written down.
    #[error("an answer about the audit: {0}")]
    Answer(#[from] serde_json::Error),
}

impl From<DataFusionError> for AuditError {
    fn from(error: DataFusionError) -> Self {
        Self::Records(Box::new(error))
    }
}

impl From<ArrowError> for AuditError {
    fn from(error: ArrowError) -> Self {
        DataFusionError::from(error).into()
    }
}

impl AuditError {
    pub(super) fn file(file: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let file = file.into();
        move |source| Self::File { file, source }
    }
}
