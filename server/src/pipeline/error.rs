//! What can be wrong with a pipeline. Every message names the file, and the table and column
//! where there is one.

use std::path::PathBuf;

/// A pipeline that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// A file of the pipeline cannot be read.
    #[error("{}: cannot be read: {source}", file.display())]
    Unreadable {
        /// The file or folder.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// `pipeline.toml` is not TOML, or has a key or value that is not known.
    #[error("{file}: {message}")]
    Syntax {
        /// The file.
        file: String,
        /// Line, column and what is wrong there.
        message: String,
    },
    /// Something about a table.
    #[error("{file}: table {table}: {reason}")]
    Table {
        /// The file.
        file: String,
        /// The table.
        table: String,
        /// What is wrong.
        reason: String,
    },
    /// Something about a column.
    #[error("{file}: table {table}: column {column}: {reason}")]
    Column {
        /// The file.
        file: String,
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// What is wrong.
        reason: String,
    },
    /// Tables that are derived from each other.
    #[error("{file}: tables are derived from each other: {}", tables.join(" <- "))]
    Cycle {
        /// The file.
        file: String,
        /// The tables along the cycle; the first is repeated at the end.
        tables: Vec<String>,
    },
    /// Something about a role.
    #[error("{file}: role {role}: {reason}")]
    Role {
        /// The file.
        file: String,
        /// The role.
        role: String,
        /// What is wrong.
        reason: String,
    },
    /// What it says of snapshots.
    #[error("{file}: snapshot: {reason}")]
    Snapshot {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// An option that the pipeline does not have, or not with this value.
    #[error("{file}: option {option}: {reason}")]
    Option {
        /// The file.
        file: String,
        /// The option.
        option: String,
        /// What is wrong.
        reason: String,
    },
}

impl PipelineError {
    pub(super) fn table(
        file: impl Into<String>,
        table: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        Self::Table { file: file.into(), table: table.into(), reason: reason.into() }
    }

    pub(super) fn column(
        file: impl Into<String>,
        table: impl Into<String>,
        column: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        Self::Column {
            file: file.into(),
            table: table.into(),
            column: column.into(),
            reason: reason.into(),
        }
    }
}
