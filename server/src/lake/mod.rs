//! The only code that knows Delta tables and how DataFusion reads them: where a lake is, how its
//! tables are opened, written and committed, and the sessions that plans run in.

mod cache;
mod commit;
mod dialect;
mod error;
mod give_way;
mod history;
mod location;
mod object;
mod probe;
pub mod session;
mod share;
mod store;
mod table;
mod versions;
mod write;

pub use commit::{Author, Change, Mode, commit};
pub use dialect::StatementDialect;
pub use error::LakeError;
pub use history::Committed;
pub use location::Location;
pub use session::{SessionLimits, Sessions};
pub use store::Lake;
pub use table::{Columns, Table, TableStats};
pub use versions::CommitTime;
pub use write::{Writer, Written, write_all};
