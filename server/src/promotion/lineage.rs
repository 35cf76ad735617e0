//! What a derived table was made from: the `txn` actions in its log.

use crate::lake::{LakeError, Table};

/// Application id of the action that holds the digest of a table's definition. No table can have
/// this name.
const DEFINITION: &str = "stedi:definition";

/// The versions of its sources, and the definition, that a table is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lineage {
    txns: Vec<(String, i64)>,
}

impl Lineage {
    /// Made from these versions of the sources by this definition.
    pub fn new(sources: &[Table], definition: i64) -> Self {
        let version = |table: &Table| i64::try_from(table.version()).unwrap_or(i64::MAX);
        let mut txns: Vec<(String, i64)> =
            sources.iter().map(|table| (table.name().to_owned(), version(table))).collect();
        txns.push((DEFINITION.to_owned(), definition));
        Self { txns }
    }

    /// Whether the table's log says that it is made from just this.
    pub async fn holds_in(&self, table: &Table) -> Result<bool, LakeError> {
        for (app_id, version) in &self.txns {
            if table.txn(app_id).await? != Some(*version) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The actions that say so.
    pub fn into_txns(self) -> Vec<(String, i64)> {
        self.txns
    }
}
