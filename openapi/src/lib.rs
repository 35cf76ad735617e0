//! Wire types of the STEDI lakehouse: what goes over HTTP, written once for server and client.

mod audit;
mod health;
mod landing;
mod problem;
mod tables;

pub use audit::{AuditBreak, AuditChain, AuditJournalFault, AuditPage, AuditRecord, AuditReport};
pub use health::Health;
pub use landing::{LoadResult, Reject};
pub use problem::Problem;
pub use tables::{ColumnInfo, TableInfo, TableList};
