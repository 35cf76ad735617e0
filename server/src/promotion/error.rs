//! What can go wrong with a promotion.

use deltalake::datafusion::error::DataFusionError;

use crate::lake::LakeError;

/// A table that was not brought up to date; it stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum PromotionError {
    /// The pipeline derives no such table.
    #[error("{0:?} is not a derived table")]
    NotDerived(String),
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

impl PromotionError {
    /// A plan that reads for this table and fails.
    pub(super) fn reading(table: &str) -> impl Fn(DataFusionError) -> Self + Copy + '_ {
        move |source| Self::Select { table: table.to_owned(), source: Box::new(source) }
    }
}
