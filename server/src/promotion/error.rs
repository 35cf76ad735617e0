//! What can go wrong with a promotion.

use deltalake::datafusion::error::DataFusionError;

use crate::lake::LakeError;

/// A table that was not brought up to date; it stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum PromotionError {
    /// A source has no table in the lake.
    #[error("table {table}: its source {missing} is not in the lake")]
    SourceMissing {
        /// The derived table.
        table: String,
        /// The source.
        missing: String,
    },
    /// The SELECT cannot be planned.
    #[error("table {table}: {source}")]
    Select {
        /// The derived table.
        table: String,
        /// What DataFusion says.
        source: Box<DataFusionError>,
    },
    /// The table in the lake has other columns than the pipeline declares.
    #[error(
        "table {table}: in the lake with other columns than its SELECT gives; remove the folder \
         {zone}/{table} from the lake, and the next promotion makes it anew"
    )]
    OtherColumns {
        /// The derived table.
        table: String,
        /// Its zone.
        zone: &'static str,
    },
    /// Other writers kept changing the table.
    #[error("table {table}: changed by other writers at the same time, {attempts} times in a row")]
    Contended {
        /// The derived table.
        table: String,
        /// How often it was tried.
        attempts: usize,
    },
    /// The lake cannot be read or written.
    #[error(transparent)]
    Lake(#[from] LakeError),
}
