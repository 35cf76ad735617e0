//! Commits: all of a change or nothing, once.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use chrono::Utc;
use deltalake::DeltaTableError;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties, TransactionError};
use deltalake::kernel::{Action, Add, AddCDCFile, Transaction};
use deltalake::protocol::{DeltaOperation, SaveMode};
use serde_json::{Value, json};

use super::error::LakeError;
use super::files::DataFiles;
use super::store::Lake;
use super::table::{Columns, Table};
use super::write::{FILE_BYTES, Written};

/// How often an append is tried again behind the commits of others.
const APPEND_RETRIES: usize = 50;

/// What a change does with the rows that are there.
#[derive(Clone, Debug)]
pub enum Mode {
    /// Keeps them, whatever others commit meanwhile.
    Append,
    /// Replaces all of them. Never rebased: it is decided anew on the table's new state.
    Overwrite,
    /// Replaces those of some files, or none. Never rebased either.
    Replace(Replaced),
    /// Keeps them; they are in new files in the place of these. Never rebased either: of the files
    /// that others removed delta-rs compares only those with `dataChange`, so but for their common
    /// `txn` it would take two compactions of the same files for compatible, and every row would be
    /// there twice.
    Compact(DataFiles),
    /// Keeps them, and sets a table property to a number, so that everybody who began before fails
    /// ([`Table::fence`], [`Table::is_purged_since`]). Never rebased.
    Fence(&'static str, u64),
}

/// What takes the place of what.
#[derive(Clone, Debug, Default)]
pub struct Replaced {
    /// Files whose rows are in the new files, as far as they stay.
    pub files: Vec<DataFiles>,
    /// The rows that came and went, as change data; needed where files are replaced, since every
    /// row of theirs would be taken for gone and come again (Delta protocol, "Add CDC File").
    pub changes: Written,
    /// Rows that came.
    pub rows_inserted: u64,
    /// Rows that went.
    pub rows_deleted: u64,
}

/// On whose behalf something is committed; the table's history says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// The principal, or a name for the server's own doing.
    pub who: String,
    /// The request with which they asked for it.
    pub request_id: Option<String>,
    /// The long work that it is part of.
    pub run: Option<String>,
}

impl Author {
    /// Somebody who does not ask by HTTP.
    pub fn new(who: &str) -> Self {
        Self { who: who.to_owned(), request_id: None, run: None }
    }
}

/// One commit.
#[derive(Debug)]
pub struct Change {
    /// What happens to the rows that are there.
    pub mode: Mode,
    /// New data files.
    pub written: Written,
    /// The table's columns from now on, where they may be others than before.
    pub columns: Option<Columns>,
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
            let mut behind = false;
            if let Some(newest) = lake.table(folder, name).await? {
                behind = newest.version() > table.version();
                if holds(&newest, &txns).await? {
                    lake.metrics.commit(name);
                    return Ok(newest);
                }
            }
            // Of the version that it was begun on, commits may have been purged since.
            let gone = behind && matches!(error, DeltaTableError::KernelError(_));
            if gone || conflict(&error) {
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
    let Removed { operation, retries, mut actions, files, rows, inserted } =
        removed(table, change.mode)?;
    actions.extend(table.metadata_for(change.columns.as_ref())?.map(Action::Metadata));
    let mut stedi = change.info;
    if let Some(fields) = stedi.as_object_mut() {
        fields.insert("who".to_owned(), change.author.who.into());
        fields.insert("request_id".to_owned(), change.author.request_id.into());
        fields.extend(change.author.run.map(|run| ("run".to_owned(), run.into())));
    }
    let metrics = json!({
        "numFiles": change.written.adds.len(),
        "numRemovedFiles": files,
        "numOutputRows": change.written.rows,
        "numInsertedRows": inserted.unwrap_or(change.written.rows),
        "numDeletedRows": rows,
        "numOutputBytes": change.written.bytes(),
    });
    let info =
        HashMap::from([("operationMetrics".to_owned(), metrics), ("stedi".to_owned(), stedi)]);
    // Only those that say when they were last updated can expire.
    let updated = table.txn_expires().then(|| Utc::now().timestamp_millis());
    let txns = change.txns.into_iter().map(|(app_id, version)| Transaction {
        app_id,
        version,
        last_updated: updated,
    });
    let properties = CommitProperties::default()
        .with_max_retries(retries)
        .with_create_checkpoint(false)
        .with_cleanup_expired_logs(Some(false))
        .with_metadata(info)
        .with_application_transactions(txns.collect());
    actions.extend(change.written.adds.into_iter().map(Action::Add));
    let commit = CommitBuilder::from(properties)
        .with_actions(actions)
        .build(Some(state.snapshot()), table.delta.log_store(), operation)
        .await?;
    let mut delta = table.delta.clone();
    delta.state = Some(commit.snapshot());
    Ok(Table::new(&table.name, delta))
}

/// What a change takes away.
struct Removed {
    operation: DeltaOperation,
    retries: usize,
    actions: Vec<Action>,
    files: usize,
    rows: u64,
    /// Rows that came, where new files hold others too.
    inserted: Option<u64>,
}

fn removed(table: &Table, mode: Mode) -> Result<Removed, DeltaTableError> {
    let write = |mode| DeltaOperation::Write { mode, partition_by: None, predicate: None };
    let nothing = Removed {
        operation: write(SaveMode::Append),
        retries: 0,
        actions: Vec::new(),
        files: 0,
        rows: 0,
        inserted: None,
    };
    let live = table.delta.snapshot()?.log_data();
    match mode {
        Mode::Append => Ok(Removed { retries: APPEND_RETRIES, ..nothing }),
        Mode::Fence(property, number) => {
            let metadata = table.with_number(property, number)?;
            let properties = HashMap::from([(property.to_owned(), number.to_string())]);
            let operation = DeltaOperation::SetTableProperties { properties };
            Ok(Removed { operation, actions: vec![Action::Metadata(metadata)], ..nothing })
        }
        Mode::Overwrite => {
            let rows = live.iter().map(|file| file.num_records().unwrap_or_default() as u64).sum();
            let actions: Vec<_> =
                live.iter().map(|file| Action::Remove(file.remove_action(true))).collect();
            let (operation, files) = (write(SaveMode::Overwrite), actions.len());
            Ok(Removed { operation, actions, files, rows, ..nothing })
        }
        Mode::Replace(Replaced { files, changes, rows_inserted, rows_deleted }) => {
            let mut actions = removes(table, &files, true)?;
            let files = actions.len();
            actions.extend(changes.adds.into_iter().map(|add| Action::Cdc(change_data(add))));
            let mode = if files > 0 { SaveMode::Overwrite } else { SaveMode::Append };
            let (operation, inserted) = (write(mode), Some(rows_inserted));
            Ok(Removed { operation, actions, files, rows: rows_deleted, inserted, ..nothing })
        }
        Mode::Compact(files) => {
            let actions = removes(table, &[files], false)?;
            let files = actions.len();
            let target_size = i64::try_from(FILE_BYTES).unwrap_or(i64::MAX);
            let operation = DeltaOperation::Optimize { predicate: None, target_size };
            Ok(Removed { operation, actions, files, inserted: Some(0), ..nothing })
        }
    }
}

/// What takes files away that are there.
fn removes(
    table: &Table,
    files: &[DataFiles],
    data_change: bool,
) -> Result<Vec<Action>, DeltaTableError> {
    let names: BTreeSet<&str> = files.iter().flat_map(DataFiles::names).collect();
    let live = table.delta.snapshot()?.log_data();
    let live = live.iter().filter(|file| names.contains(file.path().as_ref()));
    Ok(live.map(|file| Action::Remove(file.remove_action(data_change))).collect())
}

/// A written file as change data.
fn change_data(add: Add) -> AddCDCFile {
    AddCDCFile {
        path: add.path,
        size: add.size,
        partition_values: HashMap::new(),
        data_change: false,
        tags: None,
    }
}

fn conflict(error: &DeltaTableError) -> bool {
    matches!(
        error,
        DeltaTableError::VersionAlreadyExists(_)
            // A commit that others made meanwhile is not in the log any more.
            | DeltaTableError::InvalidVersion(_)
            | DeltaTableError::Transaction {
                source: TransactionError::CommitConflict(_)
                    | TransactionError::MaxCommitAttempts(_)
                    | TransactionError::VersionAlreadyExists(_)
            }
    )
}
