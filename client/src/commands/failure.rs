//! What a subcommand ends with when it does not succeed.

use std::process::ExitCode;

use stedi_client::{ClientError, ProfileError, PullError};

/// Exit code where a snapshot was redacted, for scripts that then decide what to do.
const REDACTED: u8 = 3;

/// Why a subcommand did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A call failed.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A snapshot was not pulled.
    #[error(transparent)]
    Pull(#[from] PullError),
    /// A profile is of no use.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// A folder is not the snapshot that it should be; what is wrong was said.
    #[error("{0} of the folder's files are not as they must be")]
    Faults(usize),
    /// The audit records are not whole; where was said.
    #[error("the audit records are not whole")]
    Audit,
    /// A parameter is not JSON.
    #[error("the parameter {0:?} is not JSON; a text has double quotes")]
    Parameter(String),
    /// Something cannot be read or written.
    #[error("{0}: {1}")]
    Stream(&'static str, std::io::Error),
    /// An answer cannot be shown.
    #[error("the answer cannot be shown: {0}")]
    Show(#[from] serde_json::Error),
}

impl Failure {
    /// 3 where a snapshot was redacted, else 1.
    pub fn code(&self) -> ExitCode {
        match self {
            Self::Pull(PullError::Redacted { .. }) => ExitCode::from(REDACTED),
            _ => ExitCode::FAILURE,
        }
    }
}
