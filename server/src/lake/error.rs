//! What can go wrong with a lake.

use deltalake::datafusion::error::DataFusionError;
use deltalake::{DeltaTableError, ObjectStoreError};

/// A lake that cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// Not the location of a lake.
    #[error("storage {given:?}: {reason}")]
    Location {
        /// As it was given.
        given: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store cannot hold a lake.
    #[error("storage {root}: {fault}")]
    Store {
        /// The lake's root.
        root: String,
        /// What the store does not do.
        fault: StoreFault,
    },
    /// A table cannot be opened, read or committed.
    #[error("table {table}: {source}")]
    Table {
        /// The table.
        table: String,
        /// What Delta says.
        source: Box<DeltaTableError>,
    },
    /// Another writer changed the table first; the change was not committed.
    #[error("table {table}: changed by another writer at the same time")]
    Conflict {
        /// The table.
        table: String,
    },
    /// Files that were rewritten do not hold as many rows as they should; nothing was committed.
    #[error("table {table}: {found} of {expected} rows were rewritten")]
    Rows {
        /// The table.
        table: String,
        /// Rows that the log says there are.
        expected: u64,
        /// Rows that were written.
        found: u64,
    },
    /// Somebody stopped it; nothing was committed.
    #[error("cancelled")]
    Cancelled,
    /// A plan failed while it ran.
    #[error("table {table}: {source}")]
    Plan {
        /// The table that is read or written.
        table: String,
        /// What DataFusion says.
        source: Box<DataFusionError>,
    },
    /// An object of our own that is not what it should be.
    #[error("object {path}: {reason}")]
    Unreadable {
        /// Its path below the root.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An object that is not a table cannot be read or written.
    #[error("object {path}: {source}")]
    Object {
        /// Its path below the root.
        path: String,
        /// What the store says.
        source: Box<ObjectStoreError>,
    },
}

/// Why a store cannot hold a lake.
#[derive(Debug, thiserror::Error)]
pub enum StoreFault {
    /// There is no such bucket.
    #[error("there is no such bucket")]
    NoBucket,
    /// The credentials may not read and write.
    #[error("permission denied: the credentials may not read and write here ({0})")]
    Denied(String),
    /// A second conditional write of one key succeeded.
    #[error(
        "the store ignores conditional writes (If-None-Match: *), on which every commit relies; \
         two writers would overwrite each other"
    )]
    Unconditional,
    /// The store refuses conditional writes altogether.
    #[error("the store does not support conditional writes (If-None-Match: *): {0}")]
    NoConditionalWrites(String),
    /// The store reads other bytes than were written.
    #[error("the store does not return what was written")]
    NotReadBack,
    /// The store does not answer.
    #[error("does not answer: {0}")]
    NoAnswer(String),
}

impl LakeError {
    pub(super) fn table(table: &str) -> impl Fn(DeltaTableError) -> Self + Copy + '_ {
        move |source| Self::Table { table: table.to_owned(), source: Box::new(source) }
    }

    pub(super) fn plan(table: &str) -> impl Fn(DataFusionError) -> Self + Copy + '_ {
        move |source| Self::Plan { table: table.to_owned(), source: Box::new(source) }
    }
}
