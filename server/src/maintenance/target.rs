//! What is maintained: every table that is declared.

use crate::pipeline::{Declared, Pipeline};

/// A table to maintain.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub name: String,
    /// The folder of its zone.
    pub folder: &'static str,
    /// The columns that its rows are sorted by.
    pub clustered_by: Vec<String>,
    /// Whether loads write it.
    pub loaded: bool,
    /// Folder and name of the tables that are derived from it: they read what changed in it.
    pub readers: Vec<(&'static str, String)>,
}

impl Target {
    /// All tables of a pipeline, and those of the service itself.
    pub fn all(pipeline: &Pipeline, system: Vec<Declared>) -> Vec<Self> {
        let declared: Vec<Declared> = pipeline.tables().into_iter().chain(system).collect();
        let readers = |name: &str| {
            let reads = declared.iter().filter(|table| table.sources.iter().any(|it| it == name));
            reads.map(|table| (table.zone.name(), table.name.clone())).collect()
        };
        let loaded = |name: &str| {
            let mut sources = pipeline.sources.iter();
            sources.any(|source| source.name == name || source.rejected() == name)
        };
        let targets = declared.iter().map(|table| Self {
            name: table.name.clone(),
            folder: table.zone.name(),
            clustered_by: table.clustered_by.clone(),
            loaded: loaded(&table.name),
            readers: readers(&table.name),
        });
        targets.collect()
    }
}
