//! What can go wrong with certificates.

use std::io;
use std::path::PathBuf;

use crate::lake::LakeError;

/// A certificate that cannot be issued or read.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The key that signs them cannot be read or made.
    #[error("certificate key {file}: {source}")]
    KeyFile {
        /// Its file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The key is none.
    #[error("the certificate key is not one of Ed25519")]
    Key,
    /// One that was issued is not what it should be.
    #[error("certificate {sequence}: {reason}")]
    Broken {
        /// Its number.
        sequence: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// It cannot be written as JSON.
    #[error("certificate: {0}")]
    Form(#[from] serde_json::Error),
    /// Others kept issuing certificates.
    #[error("others kept issuing certificates at the same time")]
    Contended,
    /// The lake cannot be read or written.
    #[error(transparent)]
    Lake(#[from] LakeError),
}
