//! What can go wrong with what the ledger keeps.

use std::path::PathBuf;

use stedi_openapi::Code;

use crate::lake::{LakeError, failure};

/// A ledger that cannot be read, or does not agree with this server.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The key file cannot be read or made, or does not hold a key.
    #[error("subject key {}: {source}", file.display())]
    KeyFile {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The lake's pseudonyms were made with another key.
    #[error(
        "subject key {} is not the key of the lake at {lake}: its check value is {found}, the \
         lake's is {expected}. Start with the key that the lake was made with; with another one \
         every customer would get a second pseudonym",
        file.display()
    )]
    WrongKey {
        /// The file.
        file: PathBuf,
        /// The lake's location.
        lake: String,
        /// Check value of the key in the file.
        found: String,
        /// Check value that the lake holds.
        expected: String,
    },
    /// The lake has pseudonyms, and the key that made them is not here.
    #[error(
        "subject key {} is missing, but the lake at {lake} was made with one (check value \
         {expected}). Put that key there; a new one would give every customer a second pseudonym",
        file.display()
    )]
    MissingKey {
        /// The file.
        file: PathBuf,
        /// The lake's location.
        lake: String,
        /// Check value that the lake holds.
        expected: String,
    },
    /// The check value that the lake holds cannot be read.
    #[error("{path} in the lake is not a key check: {reason}")]
    Check {
        /// The object.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The ring of the suppression list's keys cannot be read or made.
    #[error("suppression keys {}: {source}", file.display())]
    RingFile {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The lake's suppression list has entries under a key that is not here.
    #[error(
        "suppression keys {}: the lake at {lake} keeps erased customers out under a key that is not \
         among them (check value {expected}). Copy the file from a server that has it; without the \
         key, records of erased customers would come back",
        file.display()
    )]
    MissingRingKey {
        /// The file.
        file: PathBuf,
        /// The lake's location.
        lake: String,
        /// Check value of the missing key.
        expected: String,
    },
    /// A list that is older than one which somebody else obeyed.
    #[error("the suppression list ends at {found}, but a table was fenced with {expected}")]
    ListLost {
        /// Its last object.
        found: u64,
        /// The last object that there was.
        expected: u64,
    },
    /// The same key with another body.
    #[error("this Idempotency-Key was used with another body")]
    KeyReused,
    /// There is no such work.
    #[error("there is no {kind} {id}")]
    NoWork {
        /// What kind of work.
        kind: &'static str,
        /// What it was asked for by.
        id: String,
        /// The kind's word for it.
        code: Code,
    },
    /// As much of a kind waits as may wait.
    #[error("{count} of {kind} wait already; try again")]
    WorkWaits {
        /// What kind of work.
        kind: &'static str,
        /// How many.
        count: usize,
        /// The kind's word for it.
        code: Code,
    },
    /// It cannot be cancelled any more.
    #[error("{kind} {id} cannot be cancelled any more")]
    Held {
        /// What kind of work.
        kind: &'static str,
        /// Its id.
        id: String,
    },
    /// An object of some work that cannot be read.
    #[error("object {path}: {reason}")]
    Unreadable {
        /// Its path below the lake's root.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The deny list cannot be read for a time.
    #[error("the lake does not answer in time")]
    Late,
    /// Others keep changing a list.
    #[error("others keep changing the list")]
    Contended,
    /// Something cannot be sealed, or was not sealed under this key.
    #[error("what was sealed is not what this server can open")]
    Seal,
    /// The lake cannot be read or written.
    #[error(transparent)]
    Lake(#[from] LakeError),
}

impl LedgerError {
    /// What kind of problem it is.
    pub fn code(&self) -> Code {
        match self {
            Self::KeyReused => Code::KeyReused,
            Self::Held { .. } => Code::NotCancelled,
            Self::NoWork { code, .. } | Self::WorkWaits { code, .. } => *code,
            Self::Lake(error) => failure(error),
            _ => Code::Internal,
        }
    }
}
