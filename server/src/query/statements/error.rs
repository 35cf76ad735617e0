//! What can go wrong with statements that run by themselves.

use crate::lake::LakeError;
use crate::query::QueryError;

/// A statement that is not kept, or not as it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// No such statement for this caller.
    #[error("there is no statement {0}")]
    Unknown(String),
    /// It has no such chunk.
    #[error("statement {id} has {chunks} chunks, numbered from 0")]
    NoChunk {
        /// The statement.
        id: String,
        /// How many chunks it has.
        chunks: usize,
    },
    /// Its result is not there yet, or never will be.
    #[error("statement {id} is {state}")]
    NotDone {
        /// The statement.
        id: String,
        /// Its state.
        state: &'static str,
    },
    /// Its result is gone.
    #[error("the result of statement {0} is not kept any more")]
    Gone(String),
    /// The same key with another body.
    #[error("this Idempotency-Key was used for another statement")]
    KeyReused,
    /// The statement itself.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// An object of a statement that cannot be read.
    #[error("object {path}: {reason}")]
    Unreadable {
        /// Its path below the lake's root.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl From<LakeError> for StatementError {
    fn from(error: LakeError) -> Self {
        Self::Query(error.into())
    }
}
