//! What can go wrong with a load as a whole. What is wrong with a record is a reason, not an error.

use std::path::PathBuf;

use deltalake::datafusion::error::DataFusionError;

use crate::lake::LakeError;

/// A load that did not happen: nothing of it is in the lake.
#[derive(Debug, thiserror::Error)]
pub enum LandingError {
    /// The pipeline has no such landing table.
    #[error("there is no landing table {0}")]
    UnknownTable(String),
    /// The bytes could not be read.
    #[error("{name}: cannot be read: {source}")]
    Read {
        /// The file or stream.
        name: String,
        /// Why.
        source: std::io::Error,
    },
    /// More bytes than a load may have.
    #[error("the content has more than {bytes} bytes, decompressed; nothing of it is loaded")]
    TooLarge {
        /// Bytes that are allowed.
        bytes: u64,
    },
    /// As many loads run as may run at once.
    #[error("as many loads run as may run at once; try again")]
    Busy,
    /// A folder of files could not be listed.
    #[error("{}: cannot be read: {source}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Rows could not be put into columns.
    #[error("{name}: {source}")]
    Rows {
        /// The file or stream.
        name: String,
        /// Why.
        source: deltalake::arrow::error::ArrowError,
    },
    /// The work was given up, for instance because the server stops.
    #[error("{name}: the load was given up")]
    Abandoned {
        /// The file or stream.
        name: String,
    },
    /// The table in the lake is not the one that the pipeline declares.
    #[error(
        "table {0} in the lake has other columns than the pipeline declares; landing tables keep \
         what was received and are not rebuilt"
    )]
    OtherColumns(String),
    /// The same key with another content, or for another table.
    #[error("this Idempotency-Key was used for another load; nothing of this one is loaded")]
    KeyReused,
    /// What is remembered of loads cannot be read.
    #[error("object {path}: {reason}")]
    Memory {
        /// Its path below the lake's root.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The rows of a table cannot be looked through.
    #[error("table {table}: {source}")]
    Look {
        /// The table.
        table: String,
        /// What DataFusion says.
        source: Box<DataFusionError>,
    },
    /// The lake cannot be read or written.
    #[error(transparent)]
    Lake(#[from] LakeError),
}
