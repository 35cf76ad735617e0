//! Where a value comes from.

use std::fmt;
use std::path::PathBuf;

/// Who gave a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody: it is what the server takes by itself.
    Default,
    /// The configuration file.
    File {
        /// The file.
        file: PathBuf,
        /// The line, from 1 on.
        line: usize,
    },
    /// A variable of the environment.
    Variable(String),
    /// A flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { file, line } => write!(f, "{}, line {line}", file.display()),
            Origin::Variable(name) => write!(f, "{name} (environment)"),
            Origin::Flag(name) => f.write_str(name),
        }
    }
}
