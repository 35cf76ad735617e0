//! What a statement can be refused with, for the document.

use stedi_openapi::Code;

/// Every problem of a statement.
pub(super) const STATEMENT: [Code; 24] = [
    Code::TableNotFound,
    Code::NotAcceptable,
    Code::TimeLimit,
    Code::BodyTooLarge,
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

/// The problems of asking for a statement that runs by itself.
pub(super) const ASKED: [Code; 13] = [
    Code::BodyTooLarge,
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
    Code::KeyReused,
    Code::QueueFull,
];

/// The problems of its result.
pub(super) const RESULT: [Code; 3] = [Code::StatementNotFound, Code::NotAcceptable, Code::NotDone];
