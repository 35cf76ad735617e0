//! What commits did, read from the log's own files (Delta protocol, "Delta Log Entries").

use std::collections::BTreeMap;

use deltalake::logstore::object_store::ObjectStore;
use deltalake::logstore::object_store::path::Path;
use futures::{StreamExt, TryStreamExt};
use serde::Deserialize;
use serde_json::Value;

use super::error::LakeError;
use super::table::Table;
use super::versions::CommitTime;

/// Commits that are read at the same time.
const AT_ONCE: usize = 8;

/// What one commit did. Nothing in it comes from the rows: no file names, statistics or predicates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// The version that it made.
    pub version: u64,
    /// When, in epoch milliseconds.
    pub millis: i64,
    /// What our own commits say of themselves, see [`Change::info`](super::Change::info).
    pub info: BTreeMap<String, Value>,
    /// Whether it made the table.
    pub creates: bool,
    /// Rows that it added; `None` where a file does not say how many it has.
    pub rows_inserted: Option<u64>,
    /// Rows that it took away; `None` where that is not known.
    pub rows_deleted: Option<u64>,
    /// Bytes of the data files that it added.
    pub bytes_added: u64,
    /// Bytes of the data files that it took away.
    pub bytes_removed: u64,
    /// Its `txn` actions.
    pub txns: BTreeMap<String, i64>,
}

/// One action of a commit, as far as it is needed here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Action {
    add: Option<File>,
    remove: Option<File>,
    txn: Option<Txn>,
    commit_info: Option<Info>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    size: Option<u64>,
    stats: Option<String>,
    #[serde(default)]
    data_change: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stats {
    num_records: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Txn {
    app_id: String,
    version: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    operation: Option<String>,
    #[serde(default)]
    stedi: BTreeMap<String, Value>,
    #[serde(default)]
    operation_metrics: Metrics,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metrics {
    /// A `remove` need not say how many rows its file had; our own commits say it here.
    num_deleted_rows: Option<u64>,
    /// New files may hold rows that were there before.
    num_inserted_rows: Option<u64>,
}

impl Table {
    /// What these commits did, in the order given. A commit that log cleanup has removed meanwhile
    /// is left out.
    pub async fn history(&self, commits: &[CommitTime]) -> Result<Vec<Committed>, LakeError> {
        let read: Vec<_> = commits.iter().map(|commit| self.committed(*commit)).collect();
        let read: Vec<Option<Committed>> =
            futures::stream::iter(read).buffered(AT_ONCE).try_collect().await?;
        Ok(read.into_iter().flatten().collect())
    }

    /// When the newest version was made, in epoch milliseconds; `None` where its commit is not in
    /// the log any more.
    pub async fn committed_at(&self) -> Result<Option<i64>, LakeError> {
        self.written_at(self.version()).await
    }

    /// When the commit of a version was written, by the clock of the store.
    pub(super) async fn written_at(&self, version: u64) -> Result<Option<i64>, LakeError> {
        let failed = |error| LakeError::table(&self.name)(deltalake::DeltaTableError::from(error));
        let file = |version: u64| Path::from(format!("_delta_log/{version:020}.json"));
        let commit = file(version);
        let store = self.delta.object_store();
        let mut files = match version.checked_sub(1) {
            None => store.list(Some(&Path::from("_delta_log"))),
            Some(before) => store.list_with_offset(Some(&Path::from("_delta_log")), &file(before)),
        };
        while let Some(file) = files.try_next().await.map_err(failed)? {
            if file.location == commit {
                return Ok(Some(file.last_modified.timestamp_millis()));
            }
        }
        Ok(None)
    }

    async fn committed(&self, commit: CommitTime) -> Result<Option<Committed>, LakeError> {
        let log = self.delta.log_store();
        let failed = LakeError::table(&self.name);
        let Some(bytes) = log.read_commit_entry(commit.version).await.map_err(failed)? else {
            return Ok(None);
        };
        let broken = |json_err| {
            let version = commit.version;
            failed(deltalake::DeltaTableError::InvalidJsonLog {
                json_err,
                line: format!("commit {version}"),
                version,
            })
        };
        let mut committed = Committed {
            version: commit.version,
            millis: commit.millis,
            rows_inserted: Some(0),
            rows_deleted: Some(0),
            ..Committed::default()
        };
        let (mut deleted, mut inserted) = (None, None);
        for action in serde_json::Deserializer::from_slice(&bytes).into_iter::<Action>() {
            let action = action.map_err(broken)?;
            if let Some(file) = action.add {
                committed.bytes_added += file.size.unwrap_or_default();
                committed.rows_inserted = sum(committed.rows_inserted, &file);
            }
            if let Some(file) = action.remove {
                committed.bytes_removed += file.size.unwrap_or_default();
                committed.rows_deleted = sum(committed.rows_deleted, &file);
            }
            if let Some(txn) = action.txn {
                committed.txns.insert(txn.app_id, txn.version);
            }
            if let Some(info) = action.commit_info {
                committed.creates = info.operation.as_deref() == Some("CREATE TABLE");
                committed.info = info.stedi;
                deleted = info.operation_metrics.num_deleted_rows;
                inserted = info.operation_metrics.num_inserted_rows;
            }
        }
        committed.rows_deleted = deleted.or(committed.rows_deleted);
        committed.rows_inserted = inserted.or(committed.rows_inserted);
        Ok(Some(committed))
    }
}

/// One more file's rows, unless it only moves rows that are there anyway.
fn sum(rows: Option<u64>, file: &File) -> Option<u64> {
    if !file.data_change {
        return rows;
    }
    let stats: Stats = serde_json::from_str(file.stats.as_deref()?).ok()?;
    Some(rows? + stats.num_records?)
}
