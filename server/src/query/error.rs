//! What can go wrong with a statement.

use deltalake::arrow::error::ArrowError;
use deltalake::datafusion::common::DataFusionError;
use deltalake::datafusion::parquet::errors::ParquetError;
use stedi_openapi::Code;

use crate::lake::{LakeError, failure};
use crate::ledger::DenyError;

/// A statement that was not answered.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// No statement at all.
    #[error("there is no statement")]
    Empty,
    /// More than one statement.
    #[error("one statement at a time")]
    Several,
    /// Anything but one SELECT.
    #[error("only SELECT, and EXPLAIN of one, is answered")]
    NotASelect,
    /// A longer text than the role may send.
    #[error("the statement has {bytes} bytes; {limit} is the limit")]
    TooLong {
        /// Bytes of the statement.
        bytes: usize,
        /// Bytes that are allowed.
        limit: usize,
    },
    /// Deeper than is planned.
    #[error("the statement is nested, or chains operators, more than {limit} deep")]
    TooDeep {
        /// The limit that it exceeds.
        limit: usize,
    },
    /// Not SQL.
    #[error("{0}")]
    Syntax(String),
    /// SQL that is not answered here.
    #[error("{0} is not supported")]
    Unsupported(String),
    /// Values and placeholders that do not go together.
    #[error("parameters: {0}")]
    Parameters(String),
    /// No moment to travel to.
    #[error("{0}")]
    Moment(String),
    /// A moment that the table does not have.
    #[error("table {table} has no {asked}: {there}")]
    NoSuchVersion {
        /// The table.
        table: String,
        /// What was asked for.
        asked: String,
        /// What there is.
        there: String,
    },
    /// A moment of a table that was purged.
    #[error(
        "table {table} has no {asked} any more: its history before version {version} was removed \
         for good ({reason})"
    )]
    Purged {
        /// The table.
        table: String,
        /// What was asked for.
        asked: String,
        /// The oldest version that is left.
        version: u64,
        /// The id of what it was removed for.
        reason: String,
    },
    /// A table that is not there.
    #[error("there is no table {0}")]
    UnknownTable(String),
    /// The statement cannot be planned.
    #[error("{0}")]
    Invalid(String),
    /// The statement cannot be carried out with this data.
    #[error("{0}")]
    Failed(String),
    /// It needs more memory than it may have.
    #[error("the statement needs more memory than the {0} bytes of its share, or than is free")]
    OutOfMemory(usize),
    /// It takes longer than it may.
    #[error("the statement took longer than {0} s")]
    TimeLimit(u64),
    /// It has more rows than it may.
    #[error("the result has more than {0} rows")]
    RowLimit(u64),
    /// It has more bytes than it may.
    #[error("the result has more than {0} bytes")]
    ByteLimit(u64),
    /// Too many others wait already.
    #[error("{waiting} statements wait already; try again later")]
    QueueFull {
        /// Statements that wait.
        waiting: usize,
    },
    /// It waited for its turn too long.
    #[error("no turn within {0} s; try again later")]
    NoTurn(u64),
    /// Somebody stopped it.
    #[error("the statement was cancelled")]
    Cancelled,
    /// The server stops.
    #[error("the server is stopping")]
    Stopping,
    /// Its rows are not given.
    #[error(transparent)]
    Consent(#[from] DenyError),
    /// What the statement's author cannot help.
    #[error("{0}")]
    Engine(Box<DataFusionError>),
    /// The lake cannot be read.
    #[error(transparent)]
    Lake(#[from] LakeError),
}

impl QueryError {
    /// What is told of an error that its author cannot help.
    pub const INTERNAL: &str = "the request could not be carried out; the server's log says why";

    /// The stable word.
    pub fn code(&self) -> Code {
        match self {
            Self::Empty => Code::StatementEmpty,
            Self::Several => Code::SeveralStatements,
            Self::NotASelect => Code::NotASelect,
            Self::TooLong { .. } => Code::StatementTooLong,
            Self::TooDeep { .. } => Code::StatementTooDeep,
            Self::Syntax(_) => Code::SyntaxError,
            Self::Unsupported(_) => Code::NotSupported,
            Self::Parameters(_) => Code::Parameters,
            Self::Moment(_) | Self::NoSuchVersion { .. } => Code::NoSuchVersion,
            Self::Purged { .. } => Code::Purged,
            Self::UnknownTable(_) => Code::TableNotFound,
            Self::Invalid(_) => Code::StatementInvalid,
            Self::Failed(_) => Code::StatementFailed,
            Self::OutOfMemory(_) => Code::OutOfMemory,
            Self::TimeLimit(_) => Code::TimeLimit,
            Self::RowLimit(_) => Code::RowLimit,
            Self::ByteLimit(_) => Code::ByteLimit,
            Self::QueueFull { .. } => Code::QueueFull,
            Self::NoTurn(_) => Code::NoTurn,
            Self::Cancelled => Code::Cancelled,
            Self::Stopping => Code::Stopping,
            Self::Consent(DenyError::Changed) => Code::ConsentChanged,
            Self::Consent(DenyError::Unknown(_)) => Code::ConsentUnknown,
            Self::Engine(error) => failure(error.as_ref()),
            Self::Lake(error) => failure(error),
        }
    }

    /// What whoever asked is told.
    pub fn told(&self) -> String {
        match self {
            Self::Engine(_) | Self::Lake(_) => match self.code() {
                Code::StorageFull => Code::StorageFull.meaning().to_owned(),
                _ => Self::INTERNAL.to_owned(),
            },
            Self::Consent(DenyError::Unknown(_)) => Code::ConsentUnknown.meaning().to_owned(),
            _ => self.to_string(),
        }
    }

    /// Why a statement was not planned or carried out, in words for its author: without plans,
    /// paths and names of columns that are not there for them. The plan is made over what they
    /// may see, so what it says of columns is theirs to know.
    pub fn of(error: DataFusionError, memory: usize) -> Self {
        match error.find_root() {
            DataFusionError::ResourcesExhausted(_) => {
                tracing::info!(reason = first_words(&error), "a statement is out of memory");
                Self::OutOfMemory(memory)
            }
            DataFusionError::SQL(..) => Self::Syntax(first_words(&error)),
            DataFusionError::Plan(_)
            | DataFusionError::SchemaError(..)
            | DataFusionError::NotImplemented(_)
            | DataFusionError::Configuration(_)
            | DataFusionError::Diagnostic(..)
            | DataFusionError::Substrait(_) => Self::Invalid(first_words(&error)),
            // A type that Parquet does not have.
            DataFusionError::ParquetError(inner)
                if matches!(inner.as_ref(), ParquetError::NYI(_)) =>
            {
                Self::Invalid("a column of the result has a type that this format lacks".to_owned())
            }
            DataFusionError::Execution(_) => Self::Failed(first_words(&error)),
            DataFusionError::ArrowError(inner, _) => match inner.as_ref() {
                ArrowError::ExternalError(_) | ArrowError::IoError(..) => {
                    Self::Engine(Box::new(error))
                }
                _ => Self::Failed(first_words(&error)),
            },
            DataFusionError::External(_) if error.to_string().contains("Invalid regex") => {
                Self::Failed("a regular expression is none".to_owned())
            }
            _ => match of_values(error.find_root()) {
                Some(words) => Self::Failed(words),
                None => Self::Engine(Box::new(error)),
            },
        }
    }
}

/// What an error says that the engine does not tell from a fault of its own: values that do not go
/// with a condition that is carried out while a file is read, and patterns that cannot be used.
fn of_values(error: &DataFusionError) -> Option<String> {
    match error {
        DataFusionError::ParquetError(inner) => {
            let ParquetError::External(inner) = inner.as_ref() else { return None };
            let Some(ArrowError::ComputeError(text)) = inner.downcast_ref() else { return None };
            let cause = text.strip_prefix("Error evaluating filter predicate: ")?;
            Some(match cause.split_once("CastError(\"") {
                Some((_, rest)) => rest.split("\")").next().unwrap_or(rest).to_owned(),
                None if cause.contains("DivideByZero") => "Divide by zero".to_owned(),
                None => "a condition cannot be carried out on a value".to_owned(),
            })
        }
        DataFusionError::Internal(text) if text.contains("Regular expression did not compile") => {
            Some("a regular expression is none, or is too large".to_owned())
        }
        _ => None,
    }
}

/// Characters of an error that its author gets to read.
const WORDS: usize = 500;

/// What an error of the engine says at first, without the name that the engine gives its kind.
pub(super) fn first_words(error: &DataFusionError) -> String {
    let text = error.find_root().strip_backtrace();
    let text = text.lines().next().unwrap_or_default().trim();
    let kinds = [
        "Error during planning: ",
        "Schema error: ",
        "SQL error: ",
        "Execution error: ",
        "Arrow error: ",
        "This feature is not implemented: ",
        "Invalid or Unsupported Configuration: ",
        "Compute error: ",
        "Internal error: ",
    ];
    let mut text = text;
    while let Some(rest) = kinds.iter().find_map(|kind| text.strip_prefix(kind)) {
        text = rest;
    }
    let text = match text.strip_prefix("ParserError(\"").and_then(|text| text.strip_suffix("\")")) {
        Some(inner) => inner.replace("\\\"", "\""),
        None => text.to_owned(),
    };
    // Of an error within an error too.
    let text = text.replace("Error during planning: ", "").replace("DataFusion", "the engine");
    let mut words: String = text.chars().take(WORDS).collect();
    if words.len() < text.len() {
        words.push('…');
    }
    words
}
