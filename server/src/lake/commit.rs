//! Commits: all of a change or nothing, once.

use std::collections::HashMap;
use std::time::Instant;

use deltalake::DeltaTableError;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties, TransactionError};
use deltalake::kernel::{Action, Transaction};
use deltalake::protocol::{DeltaOperation, SaveMode};
use serde_json::{Value, json};

use super::error::LakeError;
use super::store::Lake;
use super::table::Table;
use super::write::Written;

/// How often an append is tried again behind the commits of others.
const APPEND_RETRIES: usize = 50;

/// What a change does with the rows that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Keeps them.
    Append,
    /// Replaces all of them. Never rebased: it is decided anew on the table's new state.
    Overwrite,
}

/// On whose behalf something is committed; the table's history says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// The principal, or a name for the server's own doing.
    pub who: String,
    /// The request with which they asked for it.
    pub request_id: Option<String>,
}

impl Author {
    /// Somebody who does not ask by HTTP.
    pub fn new(who: &str) -> Self {
        Self { who: who.to_owned(), request_id: None }
    }
}

/// One commit.
#[derive(Debug)]
pub struct Change {
    /// What happens to the rows that are there.
    pub mode: Mode,
    /// New data files.
    pub written: Written,
    /// `txn` actions, by application id. At least one: it is how the commit is recognised.
    pub txns: Vec<(String, i64)>,
    /// On whose behalf.
    pub author: Author,
    /// What the table's history says about it, under `stedi`: an object with `operation`.
    pub info: Value,
}

/// Commits a change against the version that `table` is, and gives the table with it.
///
/// A commit whose answer was lost is reported as failed though it happened: object stores repeat
/// a conditional write after a broken connection, and the repeat finds the first one's key taken.
/// So after any error the log is read again, and a commit found there with this change's `txn`
/// actions counts as success.
///
/// # Errors
/// [`LakeError::Conflict`] if somebody else changed the table, which does not hold this change as
/// its newest state; [`LakeError::Table`] otherwise. Where the log could not be read again, or
/// somebody committed on top before it was, the change may be in an older version all the same: its
/// files must stay.
pub async fn commit(
    lake: &Lake,
    folder: &str,
    table: &Table,
    change: Change,
) -> Result<Table, LakeError> {
    let txns = change.txns.clone();
    let asked = Instant::now();
    match try_commit(table, change).await {
        Ok(table) => {
            lake.cache.offer(&format!("{folder}/{}", table.name()), &table, asked);
            lake.metrics.commit(table.name());
            Ok(table)
        }
        Err(error) => {
            let name = table.name();
            tracing::info!(table = name, %error, "commit reported as failed; reading the log again");
            if let Some(table) = lake.table(folder, name).await?
                && holds(&table, &txns).await?
            {
                lake.metrics.commit(name);
                return Ok(table);
            }
            if conflict(&error) {
                lake.metrics.conflict(name);
                return Err(LakeError::Conflict { table: name.to_owned() });
            }
            Err(LakeError::table(name)(error))
        }
    }
}

/// Whether the log's `txn` actions are these.
async fn holds(table: &Table, txns: &[(String, i64)]) -> Result<bool, LakeError> {
    for (app_id, version) in txns {
        if table.txn(app_id).await? != Some(*version) {
            return Ok(false);
        }
    }
    Ok(!txns.is_empty())
}

async fn try_commit(table: &Table, change: Change) -> Result<Table, DeltaTableError> {
    let state = table.delta.snapshot()?;
    let (save_mode, retries) = match change.mode {
        Mode::Append => (SaveMode::Append, APPEND_RETRIES),
        Mode::Overwrite => (SaveMode::Overwrite, 0),
    };
    let removed: Vec<Action> = match change.mode {
        Mode::Append => Vec::new(),
        Mode::Overwrite => {
            state.log_data().iter().map(|file| Action::Remove(file.remove_action(true))).collect()
        }
    };
    let removed_rows: usize = match change.mode {
        Mode::Append => 0,
        Mode::Overwrite => {
            state.log_data().iter().map(|file| file.num_records().unwrap_or_default()).sum()
        }
    };
    let mut stedi = change.info;
    if let Some(fields) = stedi.as_object_mut() {
        fields.insert("who".to_owned(), change.author.who.into());
        fields.insert("request_id".to_owned(), change.author.request_id.into());
    }
    let metrics = json!({
        "numFiles": change.written.adds.len(),
        "numRemovedFiles": removed.len(),
        "numOutputRows": change.written.rows,
        "numDeletedRows": removed_rows,
        "numOutputBytes": change.written.bytes(),
    });
    let info =
        HashMap::from([("operationMetrics".to_owned(), metrics), ("stedi".to_owned(), stedi)]);
    let txns = change.txns.into_iter().map(|(app_id, version)| Transaction::new(app_id, version));
    let properties = CommitProperties::default()
        .with_max_retries(retries)
        .with_create_checkpoint(false)
        .with_cleanup_expired_logs(Some(false))
        .with_metadata(info)
        .with_application_transactions(txns.collect());
    let actions = removed.into_iter().chain(change.written.adds.into_iter().map(Action::Add));
    let operation = DeltaOperation::Write { mode: save_mode, partition_by: None, predicate: None };
    let commit = CommitBuilder::from(properties)
        .with_actions(actions.collect())
        .build(Some(state.snapshot()), table.delta.log_store(), operation)
        .await?;
    let mut delta = table.delta.clone();
    delta.state = Some(commit.snapshot());
    Ok(Table::new(&table.name, delta))
}

fn conflict(error: &DeltaTableError) -> bool {
    matches!(
        error,
        DeltaTableError::VersionAlreadyExists(_)
            | DeltaTableError::Transaction {
                source: TransactionError::CommitConflict(_)
                    | TransactionError::MaxCommitAttempts(_)
                    | TransactionError::VersionAlreadyExists(_)
            }
    )
}
