//! What can go wrong with a call.

use stedi_openapi::Problem;

use crate::certificate::CertificateError;

/// A call without the answer that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Not an address of a server.
    #[error("{0:?} is not the address of a server; expected http://HOST:PORT")]
    Address(String),
    /// No answer.
    #[error("no answer from {server}: {source}")]
    NoAnswer {
        /// The server's address.
        server: String,
        /// Why.
        source: reqwest::Error,
    },
    /// The server says why it does not do what was asked.
    #[error("{} ({})", .0.detail, .0.code)]
    Problem(Box<Problem>),
    /// A file cannot be read.
    #[error("{name}: {source}")]
    File {
        /// The file.
        name: String,
        /// Why.
        source: std::io::Error,
    },
    /// A certificate proves nothing.
    #[error("{name}: {source}")]
    Certificate {
        /// Where it is from.
        name: String,
        /// Why.
        source: CertificateError,
    },
    /// An event is longer than any of the service.
    #[error("an event of more than {0} bytes")]
    Event(usize),
    /// Long work ended, and not as it should.
    #[error("{what} {state}")]
    Ended {
        /// What ended, with its id.
        what: String,
        /// How.
        state: &'static str,
    },
    /// An answer cannot be read or shown.
    #[error("the answer cannot be shown: {0}")]
    Show(#[from] serde_json::Error),
    /// The server was not ready in time.
    #[error("{server} was not ready within {seconds} s: {last}")]
    NotReady {
        /// The server's address.
        server: String,
        /// How long was waited.
        seconds: u64,
        /// What the last attempt gave.
        last: String,
    },
}

impl ClientError {
    /// Whether the same call may well succeed a moment later.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::NoAnswer { .. } => true,
            Self::Problem(problem) => matches!(problem.status, 429 | 503),
            _ => false,
        }
    }
}
