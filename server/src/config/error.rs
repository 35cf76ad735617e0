//! What can be wrong with a configuration.

use std::fmt;
use std::path::PathBuf;

use super::Origin;

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
    /// The file is not TOML.
    #[error("configuration {}, line {line}: {message}", file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// The line, from 1 on.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// A variable of the environment that names no key, or whose value cannot be read.
    #[error("configuration: {variable} (environment): {reason}")]
    Variable {
        /// Its name.
        variable: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A key that is not known, or a value that makes no sense.
    #[error("configuration: {key}: {reason}{}", Given(origin))]
    Value {
        /// The key, with its section.
        key: String,
        /// What is wrong with it.
        reason: String,
        /// Who gave it, where that is known.
        origin: Option<Origin>,
    },
}

struct Given<'a>(&'a Option<Origin>);

impl fmt::Display for Given<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(origin) => write!(f, " ({origin})"),
            None => Ok(()),
        }
    }
}

impl ConfigError {
    /// A value that makes no sense.
    pub fn value(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Value { key: key.into(), reason: reason.into(), origin: None }
    }
}

/// That a number is not too small and not too large.
pub(super) fn within<N: PartialOrd + fmt::Display>(
    key: impl Into<String>,
    given: N,
    least: N,
    most: N,
) -> Result<(), ConfigError> {
    match given >= least && given <= most {
        true => Ok(()),
        false => Err(ConfigError::value(key, format!("{given} is not within {least} to {most}"))),
    }
}

/// That a text is there.
pub(super) fn filled(key: &str, text: &str) -> Result<(), ConfigError> {
    match text.trim().is_empty() {
        true => Err(ConfigError::value(key, "is empty")),
        false => Ok(()),
    }
}
