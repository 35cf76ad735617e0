//! A load is committed once: its content is, whoever sends it, however often.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use deltalake::datafusion::error::DataFusionError;
use deltalake::datafusion::logical_expr::{ident, lit};
use serde_json::{Value, json};

use super::error::LandingError;
use super::keep_out::Files;
use super::load::Landing;
use super::memory::Memory;
use super::tables::SOURCE_FOLDER;
use crate::lake::{Author, Change, CommitTime, Lake, LakeError, Mode, Table, Written, commit};
use crate::pipeline::{LOAD_SEQUENCE, Source};

/// How often a commit is tried again that others got in the way of.
const ATTEMPTS: usize = 20;
/// How long before a marker expires it is not relied upon any more: clocks differ.
const MARGIN: Duration = Duration::from_secs(3600);
/// Versions that are looked through for the commit of a load whose answer was lost.
const LOOKED_THROUGH: u64 = 1000;

/// The landing table of a source and the table of its rejected records.
#[derive(Clone)]
pub(super) struct Tables {
    pub rows: Table,
    pub rejects: Table,
}

/// A load with everything that is written into the history of both tables.
pub(super) struct Load {
    /// A keyed hash of the content, in hexadecimal digits.
    pub digest: String,
    pub sequence: i64,
    pub author: Author,
}

/// What became of a load.
pub(super) enum Outcome {
    /// It is in the table.
    Loaded(Table),
    /// Its content was there before; under this sequence, where the log still says.
    Before(Table, Option<i64>),
}

impl Load {
    /// The application id of the `txn` actions of its commits (Delta protocol, "Transaction
    /// Identifiers"); their version is the sequence, which tells one's own commit from that of the
    /// same content by somebody else.
    fn marker(&self) -> String {
        format!("load:{}", self.digest)
    }

    fn change(&self, written: Written, suppressed: u64) -> Change {
        let marker = self.marker();
        let mut info =
            json!({ "operation": "load", "marker": marker, "load_sequence": self.sequence });
        if let Some(fields) = info.as_object_mut().filter(|_| suppressed > 0) {
            fields.insert("suppressed".to_owned(), suppressed.into());
        }
        Change {
            mode: Mode::Append,
            columns: None,
            written,
            txns: vec![(marker, self.sequence)],
            author: self.author.clone(),
            info,
        }
    }

    /// Commits the files of a load, unless its content was loaded before: then they are removed. Whom an
    /// erasure concerns that came meanwhile is taken out of them before.
    ///
    /// # Errors
    /// If the lake cannot be written. Whether a failed commit is in the log after all may be unknown;
    /// its files stay for maintenance to judge.
    pub async fn commit(
        &self,
        landing: &Landing,
        source: &Source,
        mut tables: Tables,
        files: &mut Files,
    ) -> Result<Outcome, LandingError> {
        let Landing { lake, memory, .. } = landing;
        let name = tables.rows.name().to_owned();
        if self.was_loaded_long_ago(lake, memory, &tables).await? {
            files.discard(&tables).await;
            return Ok(Outcome::Before(tables.rows, None));
        }
        memory.note(&name, &self.digest, self.sequence).await?;
        let mut attempts = 1;
        let committed = loop {
            match self.try_commit(lake, &tables, files).await {
                Err(LandingError::Lake(LakeError::Conflict { .. })) if attempts < ATTEMPTS => {
                    attempts += 1;
                    tables = tables.newest(lake).await?;
                    // What is in the log is not taken out here: an erasure that came later does.
                    if tables.rows.txn(&self.marker()).await?.is_none() {
                        let rejects_too = !self.has_rejects(&tables).await?;
                        landing.keep_out(source, &tables, files, rejects_too).await?;
                    }
                }
                committed => break committed?,
            }
        };
        match committed {
            Ok(table) => Ok(Outcome::Loaded(table)),
            Err(before) => {
                files.rows.clone().discard(&tables.rows).await;
                // This load's rejects are committed where somebody else with the same content only
                // got in between the two commits: then they are the ones that both have.
                if !self.has_rejects(&tables).await? {
                    files.rejects.clone().discard(&tables.rejects).await;
                }
                memory.forget(&name, &self.digest, self.sequence).await;
                Ok(Outcome::Before(tables.rows, Some(before)))
            }
        }
    }

    /// Whether the rejects that this load committed are in the table.
    async fn has_rejects(&self, tables: &Tables) -> Result<bool, LandingError> {
        Ok(tables.rejects.txn(&self.marker()).await? == Some(self.sequence))
    }

    /// The table with the load, or the sequence under which its content is there already.
    async fn try_commit(
        &self,
        lake: &Lake,
        tables: &Tables,
        files: &Files,
    ) -> Result<Result<Table, i64>, LandingError> {
        let Files { rows, rejects, tally, .. } = files;
        let marker = self.marker();
        match tables.rows.txn(&marker).await? {
            None => {}
            // An earlier attempt of this very load, whose answer was lost.
            Some(sequence) if sequence == self.sequence => return Ok(Ok(tables.rows.clone())),
            Some(sequence) => return Ok(Err(sequence)),
        }
        // Rejects first: the marker keeps them single when a load is repeated that was interrupted
        // between the two commits.
        if rejects.rows > 0 && tables.rejects.txn(&marker).await?.is_none() {
            commit(lake, SOURCE_FOLDER, &tables.rejects, self.change(rejects.clone(), 0)).await?;
        }
        let change = self.change(rows.clone(), tally.suppressed);
        Ok(Ok(commit(lake, SOURCE_FOLDER, &tables.rows, change).await?))
    }

    /// Whether the content was loaded, and so long ago that its marker may have expired.
    async fn was_loaded_long_ago(
        &self,
        lake: &Lake,
        memory: &Memory,
        tables: &Tables,
    ) -> Result<bool, LandingError> {
        let Some(lasts) = tables.rows.txn_retention()? else { return Ok(false) };
        let lasts = i64::try_from(lasts.saturating_sub(MARGIN).as_micros()).unwrap_or(i64::MAX);
        let old = Utc::now().timestamp_micros().saturating_sub(lasts);
        let noted = memory.sequences(tables.rows.name(), &self.digest).await?;
        // A sequence is a moment in microseconds. Of a younger one the marker says whether it was
        // committed.
        let old: BTreeSet<i64> = noted.into_iter().filter(|sequence| *sequence < old).collect();
        if old.is_empty() {
            return Ok(false);
        }
        for table in [&tables.rows, &tables.rejects] {
            let failed = |source: DataFusionError| LandingError::Look {
                table: table.name().to_owned(),
                source: Box::new(source),
            };
            let session = lake.sessions().session();
            let sequences = old.iter().map(|sequence| lit(*sequence)).collect();
            let rows = session
                .read_table(Arc::new(table.files()?))
                .and_then(|rows| rows.filter(ident(LOAD_SEQUENCE).in_list(sequences, false)))
                .and_then(|rows| rows.limit(0, Some(1)))
                .map_err(failed)?;
            if rows.count().await.map_err(failed)? > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Tables {
    /// The number up to which the suppression list is to be known to whoever writes them.
    pub fn fence(&self) -> Result<u64, LandingError> {
        Ok(self.rows.fence()?.max(self.rejects.fence()?))
    }

    /// Both at their newest versions.
    pub async fn newest(&self, lake: &Lake) -> Result<Self, LandingError> {
        let open = async |table: &Table| {
            let found = lake.current(SOURCE_FOLDER, table.name()).await?;
            found.ok_or_else(|| LandingError::UnknownTable(table.name().to_owned()))
        };
        Ok(Self { rows: open(&self.rows).await?, rejects: open(&self.rejects).await? })
    }
}

/// The version that a load made of a table; the newest where the log does not say any more.
pub(super) async fn version_of(table: &Table, sequence: i64) -> Result<u64, LandingError> {
    let newest = table.version();
    let oldest = newest.saturating_sub(LOOKED_THROUGH);
    for version in (oldest..=newest).rev() {
        let commit = table.history(&[CommitTime { version, millis: 0 }]).await?;
        let Some(commit) = commit.first() else { break };
        if commit.info.get("load_sequence").and_then(Value::as_i64) == Some(sequence) {
            return Ok(version);
        }
    }
    Ok(newest)
}
