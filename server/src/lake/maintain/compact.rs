//! Compaction: files are rewritten, sorted, as fewer ones. No row comes or goes, which the commit says
//! (`dataChange = false`), so that whoever follows the table's changes sees none.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;
use uuid::Uuid;

use super::layout::{CompactionRules, due};
use crate::lake::commit::{Author, Change, Mode, commit};
use crate::lake::error::LakeError;
use crate::lake::files::DataFiles;
use crate::lake::store::Lake;
use crate::lake::table::{Columns, Table};
use crate::lake::watch::Watch;
use crate::lake::write::{Written, write_sorted};

/// Application id of the `txn` action by which a compaction knows its commit. No table can have this
/// name.
const COMPACTION: &str = "stedi:compaction";
/// How often the commit is tried again behind those of others.
const ATTEMPTS: usize = 20;

/// Files that were rewritten, and wait for their commit.
#[derive(Debug)]
pub struct Rewritten {
    table: Table,
    columns: Columns,
    files: DataFiles,
    written: Written,
}

/// What a compaction did.
#[derive(Clone, Debug)]
pub struct Compacted {
    /// The table with it.
    pub table: Table,
    /// Files that were replaced.
    pub files_before: u64,
    /// Files in their place.
    pub files_after: u64,
    /// Bytes of the files that were replaced.
    pub bytes_before: u64,
    /// Bytes of those in their place.
    pub bytes_after: u64,
}

impl Table {
    /// The files that are to be rewritten, sorted by these columns; none if it is not worth it.
    pub fn to_compact(&self, by: &[&str], rules: CompactionRules) -> Result<DataFiles, LakeError> {
        self.choice(due(self.files()?.into_inner(), by.first().copied(), rules))
    }

    /// Rewrites files of this version, sorted by these columns. Nothing is committed.
    ///
    /// # Errors
    /// If they cannot be read or written, or somebody stops it; nothing is left behind then, as far as
    /// it can be removed.
    pub async fn rewrite(
        &self,
        lake: &Lake,
        files: DataFiles,
        by: &[&str],
        watch: &Arc<Watch>,
    ) -> Result<Rewritten, LakeError> {
        let columns = self.columns()?;
        let session = lake.sessions.session();
        let plan =
            session.read_table(Arc::new(files.clone())).map_err(LakeError::plan(&self.name))?;
        let plan = plan.into_unoptimized_plan();
        watch.read(files.rows());
        let mut written = write_sorted(&session, plan, self, &columns, by, watch).await?;
        if written.rows != files.rows() {
            let (table, expected, found) = (self.name.clone(), files.rows(), written.rows);
            written.discard(self).await;
            return Err(LakeError::Rows { table, expected, found });
        }
        written.adds.iter_mut().for_each(|add| add.data_change = false);
        Ok(Rewritten { table: self.clone(), columns, files, written })
    }
}

impl Rewritten {
    /// Gives them up before any attempt to commit them.
    pub async fn discard(self) {
        self.written.discard(&self.table).await;
    }

    /// Commits them, whatever rows others add meanwhile.
    ///
    /// delta-rs does not look for files that another compaction removed, so it must not rebase the
    /// commit. It is decided anew here: on the newest version it is the same compaction as long as all
    /// of its files are still there and the columns are the same.
    ///
    /// # Errors
    /// [`LakeError::Conflict`] if somebody else replaced one of the files. The new ones are removed then,
    /// so that no purge has to wait until nobody can commit them any more; after other errors they stay:
    /// whether a commit that was reported as failed is in the log may be unknown.
    pub async fn commit(
        self,
        lake: &Lake,
        folder: &str,
        author: &Author,
    ) -> Result<Compacted, LakeError> {
        let Self { table: before, columns, files, written } = self;
        let mut table = before.clone();
        let conflict = || LakeError::Conflict { table: files.table().to_owned() };
        // Any number that no other compaction has.
        let number = i64::try_from(Uuid::new_v4().as_u64_pair().0 >> 1).unwrap_or_default();
        let info = json!({ "operation": "compact", "files": files.len() });
        for _ in 0..ATTEMPTS {
            let change = Change {
                mode: Mode::Compact(files.clone()),
                written: written.clone(),
                columns: None,
                txns: vec![(COMPACTION.to_owned(), number)],
                author: author.clone(),
                info: info.clone(),
            };
            match commit(lake, folder, &table, change).await {
                Ok(table) => {
                    return Ok(Compacted {
                        table,
                        files_before: files.len() as u64,
                        files_after: written.adds.len() as u64,
                        bytes_before: files.bytes(),
                        bytes_after: written.bytes(),
                    });
                }
                Err(LakeError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
            table = lake.current(folder, files.table()).await?.ok_or_else(conflict)?;
            let live = table.files()?;
            let live: BTreeSet<&str> = live.names().collect();
            // A purge takes the new files for those of somebody who gave them up.
            if !files.names().all(|name| live.contains(name))
                || table.columns()? != columns
                || before.is_purged_since(&table)?
            {
                break;
            }
        }
        // If the log has no compaction since, it does not have this one.
        if table.txn(COMPACTION).await? == before.txn(COMPACTION).await? {
            written.discard(&table).await;
        }
        Err(conflict())
    }
}
