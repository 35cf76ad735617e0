//! Why a folder does not become a snapshot.

use std::io;

use stedi_openapi::Code;

use crate::error::ClientError;

/// Why a snapshot is not pulled, or a folder cannot be checked.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The server does not give it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Somebody's consent ended, so the snapshot is not given any more.
    #[error(
        "snapshot {snapshot} was redacted: a consent ended, and rows of it are not given any more; \
         {}", successor(.superseded_by)
    )]
    Redacted {
        /// The one that was asked for.
        snapshot: String,
        /// The one without the rows.
        superseded_by: Option<String>,
    },
    /// The folder holds another snapshot.
    #[error("the folder holds {held}, not {asked}; --update pulls {asked} in its place")]
    Other {
        /// What was asked for when the folder was filled.
        held: String,
        /// What is asked for now.
        asked: String,
    },
    /// Somebody else pulls into the folder.
    #[error("{0}: another pull into it runs")]
    Busy(String),
    /// A manifest that is not what it says, or cannot be followed.
    #[error("the manifest is not usable: {0}")]
    Manifest(String),
    /// A path that would lead out of the folder, or to what the client keeps there.
    #[error("the path {0:?} is refused")]
    Path(String),
    /// Something stands in the way that is no folder, or no file.
    #[error("{0} is a link, or not what it must be; it is left alone")]
    InTheWay(String),
    /// The bytes that came are not those that the manifest names, however often they are fetched.
    #[error(
        "{path}: its bytes do not have the digest {sha256}, though they were fetched {times} times"
    )]
    Digest {
        /// The file.
        path: String,
        /// What it must be.
        sha256: String,
        /// How often it was fetched.
        times: u32,
    },
    /// The lock file is not readable.
    #[error("snapshot.lock: {0}; --update makes it anew")]
    Lock(String),
    /// A file cannot be read or written.
    #[error("{name}: {source}")]
    File {
        /// Which one.
        name: String,
        /// Why.
        source: io::Error,
    },
}

impl PullError {
    /// The problem of a call for a snapshot.
    pub(super) fn of_call(snapshot: &str, error: ClientError) -> Self {
        match error.problem() {
            Some(problem) if error.is(Code::Redacted) => Self::Redacted {
                snapshot: snapshot.to_owned(),
                superseded_by: problem.superseded_by.clone(),
            },
            _ => Self::Client(error),
        }
    }

    pub(super) fn file(name: impl ToString) -> impl FnOnce(io::Error) -> Self {
        let name = name.to_string();
        move |source| Self::File { name, source }
    }
}

fn successor(superseded_by: &Option<String>) -> String {
    match superseded_by {
        Some(id) => format!("{id} is without them, and --accept-redaction pulls it"),
        None => "nothing takes its place".to_owned(),
    }
}
