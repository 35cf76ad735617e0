//! What can go wrong with a promotion.

use deltalake::arrow::error::ArrowError;
use deltalake::datafusion::error::DataFusionError;
use stedi_openapi::{CheckResult, Code, Problem};

use crate::lake::{LakeError, failure};
use crate::ledger::LedgerError;
use crate::ledger::audit::AuditError;

/// What is said where only the log says more.
const INTERNAL: &str = "the server failed; its log says why";

/// A table that was not brought up to date, and stays as it was; or a run that is not begun.
#[derive(Debug, thiserror::Error)]
pub enum PromotionError {
    /// The pipeline derives no such table.
    #[error("{0:?} is not a derived table")]
    NotDerived(String),
    /// No table is named.
    #[error("tables names none; without it all tables are brought up to date")]
    NoTables,
    /// A source has no table in the lake.
    #[error("table {table}: its source {missing} is not in the lake")]
    SourceMissing {
        /// The derived table.
        table: String,
        /// The source.
        missing: String,
    },
    /// The SELECT cannot be planned, or fails on this data.
    #[error("table {table}: {source}")]
    Select {
        /// The derived table.
        table: String,
        /// What DataFusion says.
        source: Box<DataFusionError>,
    },
    /// Quality rules that keep the table from being published are broken.
    #[error("table {table}: {}", broken(checks))]
    Rules {
        /// The derived table.
        table: String,
        /// What became of each of its rules.
        checks: Vec<CheckResult>,
    },
    /// Other writers kept changing the table.
    #[error("table {table}: changed by other writers at the same time, {attempts} times in a row")]
    Contended {
        /// The derived table.
        table: String,
        /// How often it was tried.
        attempts: usize,
    },
    /// What became of tables cannot be written.
    #[error("result: {0}")]
    Result(#[from] serde_json::Error),
    /// It cannot be recorded.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The objects or the lease of a run.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The lake cannot be read or written.
    #[error(transparent)]
    Lake(#[from] LakeError),
}

impl PromotionError {
    /// A plan that reads for this table and fails.
    pub(super) fn reading(table: &str) -> impl Fn(DataFusionError) -> Self + Copy + '_ {
        move |source| Self::Select { table: table.to_owned(), source: Box::new(source) }
    }

    /// What kind of problem it is.
    pub fn code(&self) -> Code {
        match self {
            Self::NotDerived(_) => Code::TableNotFound,
            Self::NoTables => Code::Malformed,
            Self::Ledger(error) => error.code(),
            Self::Contended { .. } | Self::Lake(LakeError::Conflict { .. }) => Code::Conflict,
            Self::Rules { .. } => Code::PromotionFailed,
            Self::Select { source, .. } | Self::Lake(LakeError::Plan { source, .. }) => {
                if of_the_data(source) {
                    Code::PromotionFailed
                } else {
                    failure(source.as_ref())
                }
            }
            Self::Audit(_) => Code::AuditUnavailable,
            Self::SourceMissing { .. } | Self::Result(_) => Code::Internal,
            Self::Lake(error) => failure(error),
        }
    }

    /// What whoever asked is told: no paths and nothing of a plan.
    pub fn problem(&self) -> Problem {
        let detail = match self {
            // The engine's words may hold values of rows.
            Self::Select { table, .. } | Self::Lake(LakeError::Plan { table, .. })
                if self.code() == Code::PromotionFailed =>
            {
                format!("table {table}: its SELECT failed on this data; the server's log says why")
            }
            _ if self.code() == Code::Internal => INTERNAL.to_owned(),
            _ if self.code() == Code::StorageFull => Code::StorageFull.meaning().to_owned(),
            _ => self.to_string(),
        };
        Problem::of(self.code(), detail)
    }
}

/// Whether it is for this data that a plan fails, and not for the store or the server.
fn of_the_data(error: &DataFusionError) -> bool {
    match error.find_root() {
        DataFusionError::ArrowError(error, _) => {
            !matches!(**error, ArrowError::IoError(..) | ArrowError::ExternalError(_))
        }
        DataFusionError::Execution(_)
        | DataFusionError::Plan(_)
        | DataFusionError::SchemaError(..)
        | DataFusionError::ResourcesExhausted(_) => true,
        _ => false,
    }
}

/// The broken rules in words.
fn broken(checks: &[CheckResult]) -> String {
    let broken = checks.iter().filter(|check| !check.holds && check.action == "fail");
    let broken: Vec<String> =
        broken.map(|check| format!("{:?} is broken by {}", check.rule, check.broken)).collect();
    format!("not published, {}", broken.join(", "))
}
