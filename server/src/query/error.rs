//! What can go wrong with a statement.

use deltalake::datafusion::error::DataFusionError;

use crate::lake::LakeError;

/// A statement that was not answered.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// Anything but one SELECT.
    #[error("only a single SELECT is answered")]
    NotASelect,
    /// A table that is not there.
    #[error("there is no table {0}")]
    UnknownTable(String),
    /// The statement cannot be planned or run.
    #[error("{0}")]
    Statement(Box<DataFusionError>),
    /// The lake cannot be read.
    #[error(transparent)]
    Lake(#[from] LakeError),
}

impl From<DataFusionError> for QueryError {
    fn from(error: DataFusionError) -> Self {
        Self::Statement(Box::new(error))
    }
}
