//! The words for what can go wrong with a statement.

use stedi_openapi::Code;

use crate::query::QueryError;

/// What a statement can be refused with, for the document.
pub(super) const STATEMENT: [Code; 24] = [
    Code::TableNotFound,
    Code::NotAcceptable,
    Code::TimeLimit,
    Code::TooLarge,
    Code::StatementTooLong,
    Code::UnsupportedMediaType,
    Code::NotASelect,
    Code::StatementEmpty,
    Code::StatementTooDeep,
    Code::SeveralStatements,
    Code::SyntaxError,
    Code::NotSupported,
    Code::Parameters,
    Code::NoSuchVersion,
    Code::StatementInvalid,
    Code::StatementFailed,
    Code::OutOfMemory,
    Code::RowLimit,
    Code::ByteLimit,
    Code::Cancelled,
    Code::QueueFull,
    Code::NoTurn,
    Code::Stopping,
    Code::Internal,
];

/// The word for an error.
pub(super) fn code(error: &QueryError) -> Code {
    match error {
        QueryError::Empty => Code::StatementEmpty,
        QueryError::Several => Code::SeveralStatements,
        QueryError::NotASelect => Code::NotASelect,
        QueryError::TooLong { .. } => Code::StatementTooLong,
        QueryError::TooDeep { .. } => Code::StatementTooDeep,
        QueryError::Syntax(_) => Code::SyntaxError,
        QueryError::Unsupported(_) => Code::NotSupported,
        QueryError::Parameters(_) => Code::Parameters,
        QueryError::Moment(_) | QueryError::NoSuchVersion { .. } => Code::NoSuchVersion,
        QueryError::UnknownTable(_) => Code::TableNotFound,
        QueryError::Invalid(_) => Code::StatementInvalid,
        QueryError::Failed(_) => Code::StatementFailed,
        QueryError::OutOfMemory(_) => Code::OutOfMemory,
        QueryError::TimeLimit(_) => Code::TimeLimit,
        QueryError::RowLimit(_) => Code::RowLimit,
        QueryError::ByteLimit(_) => Code::ByteLimit,
        QueryError::QueueFull { .. } => Code::QueueFull,
        QueryError::NoTurn(_) => Code::NoTurn,
        QueryError::Cancelled => Code::Cancelled,
        QueryError::Stopping => Code::Stopping,
        QueryError::Engine(_) | QueryError::Lake(_) => Code::Internal,
    }
}
