//! What tables there are, and SQL over them.

mod answer;
mod bounds;
mod catalog;
mod constants;
mod error;
mod explain;
mod format;
mod functions;
mod gate;
mod growth;
mod history;
mod joined;
mod limits;
mod parameters;
mod plans;
mod prepare;
mod schemas;
mod scope;
mod service;
mod statements;
mod time_travel;
mod types;
mod visible;
mod workers;

pub use answer::{Answer, Part, Totals};
pub use bounds::Bounds;
pub use catalog::{Catalog, SeenTable};
pub use error::QueryError;
pub use format::{Codec, Format};
pub use history::{History, Version};
pub use limits::{Limits, QueueLimits, StatementLimits, Turn};
pub use parameters::Parameters;
pub use prepare::{Prepared, Statement};
pub use service::{Query, Ready};
pub use statements::{Chunk, Kept, Outcome, State, StatementError, Statements, StatementsRules};
pub use types::sql_name;
