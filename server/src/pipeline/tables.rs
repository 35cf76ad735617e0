//! Every table of a pipeline's lake, those for rejected records included.

use deltalake::arrow::datatypes::DataType;

use super::column::{Class, Column};
use super::model::{LOAD_SEQUENCE, Pipeline, SUBJECT_ID, Source};
use super::zone::Zone;

/// A table as the pipeline declares it.
#[derive(Clone, Debug)]
pub struct Declared {
    /// Table name.
    pub name: String,
    /// What its rows are.
    pub description: Option<String>,
    /// Its zone.
    pub zone: Zone,
    /// Its columns.
    pub columns: Vec<Column>,
    /// The tables that it is derived from.
    pub sources: Vec<String>,
}

impl Pipeline {
    /// All tables: sources, each followed by its rejects, then derived ones in dependency order.
    pub fn tables(&self) -> Vec<Declared> {
        let landing = |name: String, description: Option<String>, columns| Declared {
            name,
            description,
            zone: Zone::Landing,
            columns,
            sources: Vec::new(),
        };
        let sources = self.sources.iter().flat_map(|source| {
            let rows = landing(source.name.clone(), source.description.clone(), source.columns());
            let rejected = format!("records of {} that could not be used", source.name);
            [rows, landing(source.rejected(), Some(rejected), Source::rejected_columns())]
        });
        let derived = self.derived.iter().map(|table| Declared {
            name: table.name.clone(),
            description: table.description.clone(),
            zone: table.zone,
            columns: table.columns.clone(),
            sources: table.sources.clone(),
        });
        sources.chain(derived).collect()
    }
}

impl Source {
    /// The columns of the table that keeps rejected records: whose it is where that could be read,
    /// with which load it came, from which file and line, why it was rejected, and its text.
    pub fn rejected_columns() -> Vec<Column> {
        vec![
            Column::new(SUBJECT_ID, DataType::Utf8, Class::Pseudonym),
            Column::new(LOAD_SEQUENCE, DataType::Int64, Class::Plain),
            Column::new("file", DataType::Utf8, Class::Pii),
            Column::new("line", DataType::Int64, Class::Plain),
            Column::new("reason", DataType::Utf8, Class::Plain),
            Column::new("raw", DataType::Utf8, Class::Pii),
        ]
    }
}
