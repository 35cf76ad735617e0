//! What can be wrong with a configuration.

use std::path::PathBuf;

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("configuration {}: cannot be read: {source}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML, or has a key or value that is not known.
    #[error("configuration {}: {message}", file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// Line, column and what is wrong there.
        message: String,
    },
    /// A value that makes no sense.
    #[error("configuration: {key}: {reason}")]
    Value {
        /// The key, with its section.
        key: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

/// A value that makes no sense.
pub(super) fn value(key: &'static str, reason: String) -> ConfigError {
    ConfigError::Value { key, reason }
}
