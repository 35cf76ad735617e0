//! What tables there are, and SQL over them.

mod catalog;
mod error;
mod history;
mod select;

pub use catalog::{Catalog, SeenTable};
pub use error::QueryError;
pub use history::{History, Version};
pub use select::Query;
