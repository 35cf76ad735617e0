//! SQL over the lake's tables.

mod error;
mod select;

pub use error::QueryError;
pub use select::Query;
