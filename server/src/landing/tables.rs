//! The columns of landing tables and of the tables that keep rejected records.

use deltalake::arrow::datatypes::DataType;

use crate::lake::Columns;
use crate::pipeline::{Class, Column, LOAD_SEQUENCE, SUBJECT_ID, Source, Zone, stored_columns};

/// The folder of the lake that holds landing tables.
pub const SOURCE_FOLDER: &str = Zone::Landing.name();

/// The stored columns of a landing table.
pub fn landing_columns(source: &Source) -> Columns {
    stored_columns(&source.columns())
}

/// The columns of the table that keeps a source's rejected records: with which load it came, from
/// which file and line, why it was rejected, its text, and whose it is where that could be read.
pub fn rejected_columns() -> Columns {
    stored_columns(&[
        Column::new(SUBJECT_ID, DataType::Utf8, Class::Pseudonym),
        Column::new(LOAD_SEQUENCE, DataType::Int64, Class::Plain),
        Column::new("file", DataType::Utf8, Class::Pii),
        Column::new("line", DataType::Int64, Class::Plain),
        Column::new("reason", DataType::Utf8, Class::Plain),
        Column::new("raw", DataType::Utf8, Class::Pii),
    ])
}
