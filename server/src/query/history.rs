//! The versions of a table, as somebody sees them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::catalog::SeenTable;
use super::error::QueryError;
use crate::lake::Committed;

/// Some versions of a table.
#[derive(Clone, Debug)]
pub struct History {
    /// The oldest version whose commit is in the log.
    pub first: u64,
    /// Newest first.
    pub versions: Vec<Version>,
}

/// What one version changed.
#[derive(Clone, Debug)]
pub struct Version {
    /// What was done: `create`, `load`, `revoke`, `promote`, `compact`, `purge`, `fence`, `erase`, or
    /// `other`.
    pub operation: String,
    /// How a derived table was brought up to date.
    pub mode: Option<String>,
    /// Why in this way.
    pub why: Option<String>,
    /// On whose behalf.
    pub who: Option<String>,
    /// The request with which they asked for it.
    pub request_id: Option<String>,
    /// The version of each source that is now included, as far as the source is there for somebody.
    pub sources: BTreeMap<String, u64>,
    /// What the log says.
    pub committed: Committed,
}

impl SeenTable {
    /// The newest `limit` versions before `before`, newest first.
    pub async fn history(&self, before: Option<u64>, limit: usize) -> Result<History, QueryError> {
        let mut commits = self.table.commits().await?;
        let first = commits.first().map_or(self.table.version(), |commit| commit.version);
        commits.retain(|commit| before.is_none_or(|before| commit.version < before));
        commits.reverse();
        commits.truncate(limit);
        let committed = self.table.history(&commits).await?;
        let versions = committed.into_iter().map(|committed| self.version(committed)).collect();
        Ok(History { first, versions })
    }

    fn version(&self, committed: Committed) -> Version {
        let word = |name: &str| committed.info.get(name).and_then(Value::as_str).map(str::to_owned);
        let made = committed.creates.then(|| "create".to_owned());
        // Only sources that this caller sees are among `self.sources`.
        let sources = committed.txns.iter().filter(|(name, _)| self.sources.contains_key(*name));
        Version {
            operation: word("operation").or(made).unwrap_or_else(|| "other".to_owned()),
            mode: word("mode"),
            why: word("why"),
            who: word("who"),
            request_id: word("request_id"),
            sources: sources
                .map(|(name, version)| (name.clone(), version.unsigned_abs()))
                .collect(),
            committed,
        }
    }
}
