//! What a statement can be refused with, for the document.

use stedi_openapi::Code;

/// What can be wrong with the request for a statement, and with its text.
const ASKING: [Code; 13] = [
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
    Code::Purged,
    Code::QueueFull,
];
/// What can go wrong while it is answered.
const ANSWERING: [Code; 13] = [
    Code::TableNotFound,
    Code::NotAcceptable,
    Code::TimeLimit,
    Code::StatementInvalid,
    Code::StatementFailed,
    Code::OutOfMemory,
    Code::RowLimit,
    Code::ByteLimit,
    Code::Cancelled,
    Code::NoTurn,
    Code::Stopping,
    Code::ConsentChanged,
    Code::ConsentUnknown,
];
/// The problems of a kept result.
pub(super) const RESULT: [Code; 4] =
    [Code::StatementNotFound, Code::NotAcceptable, Code::NotDone, Code::ConsentUnknown];

/// Every problem of a statement that is answered at once.
pub(super) fn answered() -> Vec<Code> {
    [ASKING.as_slice(), &ANSWERING].concat()
}

/// The problems of asking for a statement that runs by itself.
pub(super) fn asked() -> Vec<Code> {
    [ASKING.as_slice(), &[Code::KeyReused]].concat()
}

/// Every problem of rows of a snapshot.
pub(super) fn of_snapshot() -> Vec<Code> {
    let own = [
        Code::SnapshotNotFound,
        Code::Redacted,
        Code::Redacting,
        Code::StatementTooLong,
        Code::StatementTooDeep,
        Code::SyntaxError,
        Code::NotSupported,
        Code::QueueFull,
    ];
    [own.as_slice(), &ANSWERING].concat()
}
