//! What a derived table was made from: the `txn` actions in its log.

use std::collections::BTreeMap;

use super::sources::Sources;
use crate::lake::{LakeError, Table};

/// Application id of the action that holds the digest of a table's definition. No table can have
/// this name.
pub(super) const DEFINITION: &str = "stedi:definition";

/// The versions of its sources, and the definition, that a table is to be made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lineage {
    txns: Vec<(String, i64)>,
}

/// What a table's log says that it is made from.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    versions: BTreeMap<String, u64>,
}

impl Known {
    /// The version up to which a source is in the table.
    pub fn version(&self, source: &str) -> u64 {
        self.versions.get(source).copied().unwrap_or_default()
    }
}

/// Why what a table holds cannot be built upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// Nothing was ever put into it.
    New,
    /// It was made by another SELECT, other options or another key.
    OtherDefinition,
    /// It was made without one of its sources.
    OtherSources,
}

impl Lineage {
    /// Made from these versions of the sources by this definition.
    pub fn new(sources: &Sources, definition: i64) -> Self {
        let signed = |version: u64| i64::try_from(version).unwrap_or(i64::MAX);
        let mut txns: Vec<(String, i64)> =
            sources.versions().map(|(name, version)| (name, signed(version))).collect();
        txns.push((DEFINITION.to_owned(), definition));
        Self { txns }
    }

    /// What the table's log says of the same sources and definition.
    pub async fn known_in(&self, table: &Table) -> Result<Result<Known, Unknown>, LakeError> {
        let ids: Vec<&str> = self.txns.iter().map(|(id, _)| id.as_str()).collect();
        let found = table.txns(&ids).await?;
        let mut versions = BTreeMap::new();
        if found.iter().all(Option::is_none) {
            return Ok(Err(Unknown::New));
        }
        for ((id, wanted), found) in self.txns.iter().zip(found) {
            match found {
                Some(version) if id == DEFINITION => {
                    if version != *wanted {
                        return Ok(Err(Unknown::OtherDefinition));
                    }
                }
                Some(version) => {
                    versions.insert(id.clone(), u64::try_from(version).unwrap_or_default());
                }
                None => return Ok(Err(Unknown::OtherSources)),
            }
        }
        Ok(Ok(Known { versions }))
    }

    /// The actions that say so.
    pub fn into_txns(self) -> Vec<(String, i64)> {
        self.txns
    }
}
