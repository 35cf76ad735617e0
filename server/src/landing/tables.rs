//! The columns of landing tables and of the tables that keep rejected records.

use crate::lake::Columns;
use crate::pipeline::{Source, Zone, stored_columns};

/// The folder of the lake that holds landing tables.
pub const SOURCE_FOLDER: &str = Zone::Landing.name();

/// The stored columns of a landing table.
pub fn landing_columns(source: &Source) -> Columns {
    stored_columns(&source.columns())
}

/// The stored columns of a table that keeps rejected records.
pub fn rejected_columns() -> Columns {
    stored_columns(&Source::rejected_columns())
}
