//! What can go wrong with a call.

use std::time::Duration;

use stedi_openapi::{Code, Problem};

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
    #[error("{} ({})", .problem.detail, .problem.code)]
    Problem {
        /// What it says.
        problem: Box<Problem>,
        /// How long it asks to wait (`Retry-After`).
        retry_after: Option<Duration>,
    },
    /// An answer that is none of the service's: a proxy's, mostly.
    #[error("the answer has status {status} and does not say why")]
    Status {
        /// Its HTTP status.
        status: u16,
        /// How long it asks to wait (`Retry-After`).
        retry_after: Option<Duration>,
    },
    /// A body ended before its end.
    #[error("the answer broke off")]
    Broken,
    /// Nothing came for too long.
    #[error("nothing came for {0:?}")]
    Stalled(Duration),
    /// Other bytes of a file than were asked for.
    #[error("bytes {asked} were asked for, and {given} came")]
    Range {
        /// Those that were asked for.
        asked: String,
        /// What the answer says.
        given: String,
    },
    /// An Arrow stream is none.
    #[error("the answer is not an Arrow stream: {0}")]
    Arrow(#[from] arrow_schema::ArrowError),
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
            Self::NoAnswer { source, .. } => !source.is_builder(),
            Self::Problem { problem, .. } => passing(problem.status),
            Self::Status { status, .. } => passing(*status),
            Self::Broken | Self::Stalled(_) | Self::Range { .. } => true,
            _ => false,
        }
    }

    /// How long the server asks to wait before the next call.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Problem { retry_after, .. } | Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// What the server says, if it does.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem { problem, .. } => Some(problem),
            _ => None,
        }
    }

    /// Whether the server says this.
    pub fn is(&self, code: Code) -> bool {
        self.problem().is_some_and(|problem| problem.code == code.name())
    }
}

/// Statuses of servers, and of proxies before them, that have too much to do or are not there.
const fn passing(status: u16) -> bool {
    matches!(status, 429 | 502 | 503 | 504)
}
