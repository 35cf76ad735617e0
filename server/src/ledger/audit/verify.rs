//! Walks all chains and says where they break.

use std::collections::BTreeMap;

use super::chain::{Break, Head, Walk};
use super::error::AuditError;
use super::folder::{self, JournalFault};
use super::read;
use super::service::Audit;
use super::table;

/// What is wrong with the audit, if anything is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The version of the table that was walked.
    pub version: u64,
    /// Every chain.
    pub chains: Vec<ChainReport>,
    /// Lines of this server's journal that could not be read.
    pub journal: Vec<JournalFault>,
}

/// A chain that was walked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainReport {
    /// The chain.
    pub chain: String,
    /// Its records.
    pub records: u64,
    /// Fields of them that were redacted.
    pub redacted: u64,
    /// Its newest record.
    pub head: Head,
    /// The first break.
    pub broken: Option<Break>,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.journal.is_empty() && self.chains.iter().all(|chain| chain.broken.is_none())
    }
}

impl Audit {
    /// Walks all chains of the table, record by record in bounded memory. Of the chains of this
    /// server's state folder it also knows how far they went.
    ///
    /// # Errors
    /// If the lake or the state folder cannot be read.
    pub async fn verify(&self) -> Result<Report, AuditError> {
        self.flush().await?;
        let in_root = || AuditError::file(self.root());
        // Before the table is opened, which is at least as new then.
        let mut kept: BTreeMap<String, Head> =
            folder::heads(self.root()).map_err(in_root())?.into_iter().collect();
        let table = table::open(self.lake()).await?;
        let mut stream = read::in_order(self, &table).await?;
        let mut chains = Vec::new();
        let mut walk: Option<(String, Walk)> = None;
        while let Some(rows) = read::next(&mut stream).await? {
            for row in rows {
                if walk.as_ref().is_none_or(|(chain, _)| *chain != row.chain) {
                    chains.extend(walk.take());
                    walk = Some((row.chain.clone(), Walk::new(kept.remove(&row.chain))));
                }
                if let Some((_, walk)) = &mut walk {
                    walk.step(&row);
                }
            }
        }
        chains.extend(walk);
        // Chains of which the table holds nothing any more.
        chains.extend(kept.into_iter().map(|(chain, head)| (chain, Walk::new(Some(head)))));
        let mut reports = Vec::with_capacity(chains.len());
        for (chain, walk) in chains {
            let walk = walk.end(table.txn(&table::app_id(&chain)).await?);
            reports.push(ChainReport {
                chain,
                records: walk.records,
                redacted: walk.redacted,
                head: walk.head().clone(),
                broken: walk.broken,
            });
        }
        let journal = folder::faults(self.root()).map_err(in_root())?;
        Ok(Report { version: table.version(), chains: reports, journal })
    }
}
