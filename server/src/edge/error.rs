//! Why connections cannot be taken.

use std::net::SocketAddr;
use std::path::PathBuf;

/// A server that cannot begin to listen.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// The address cannot be had.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A file of the TLS section cannot be used.
    #[error("TLS file {}: {reason}", file.display())]
    TlsFile {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Certificate and key cannot be used together.
    #[error("TLS certificate and key: {0}")]
    Tls(String),
}
