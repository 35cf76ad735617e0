//! Files of a table that nothing refers to: left behind by work that failed or was killed, or named
//! by commits that are not in the log any more.

use std::collections::BTreeSet;
use std::io;

use deltalake::logstore::object_store::path::Path;
use deltalake::logstore::object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use deltalake::{DeltaTableError, ObjectStoreError};
use futures::{StreamExt, TryStreamExt};

use super::drafts::{Drafts, remove_drafts};
use crate::lake::error::LakeError;
use crate::lake::log_files::LOG_FOLDER;
use crate::lake::store::Lake;
use crate::lake::table::Table;
use crate::lake::watch::Watch;
use crate::lake::write::{CHANGE_FOLDER, REWRITTEN_FOLDER};

/// Commits that are read at the same time.
const AT_ONCE: usize = 8;

/// Files that nothing refers to.
#[derive(Debug)]
pub struct Unreferenced {
    table: Table,
    files: Vec<ObjectMeta>,
}

impl Table {
    /// The data files that nothing refers to and that were written before a moment, in epoch
    /// milliseconds. Younger ones may belong to work that has not committed yet.
    ///
    /// # Errors
    /// Also if one of this version's files is not where it should be: then this does not know what
    /// it sees, and must not remove anything.
    pub async fn unreferenced(&self, before: i64) -> Result<Unreferenced, LakeError> {
        // What is listed first and named later is kept.
        let mut files = self.data_files().await?;
        let there: BTreeSet<&str> = files.iter().map(|file| file.location.as_ref()).collect();
        let live = self.files()?;
        if let Some(gone) = live.names().find(|name| !there.contains(name)) {
            return Err(self.lost(gone));
        }
        let live: BTreeSet<&str> = live.names().collect();
        files.retain(|file| {
            let old = file.last_modified.timestamp_millis() < before;
            old && !live.contains(file.location.as_ref())
        });
        if !files.is_empty() {
            let stay = self.stay().await?;
            files.retain(|file| !stay.contains(file.location.as_ref()));
        }
        Ok(Unreferenced { table: self.clone(), files })
    }

    /// The names of the files that must stay: those of the newest version, and those that a commit
    /// in the log names. With these every version that can be read has its files, and what changed
    /// can be told from every commit. What the oldest of these versions has no more, and does not
    /// tell a change, is not needed.
    async fn stay(&self) -> Result<BTreeSet<String>, LakeError> {
        let newest = self.refreshed().await?;
        let live = newest.files()?;
        let mut stay: BTreeSet<String> = live.names().map(str::to_owned).collect();
        let log = newest.log_files().await?;
        let oldest = log.oldest().unwrap_or_default();
        let commits = log.commits.into_keys();
        let reads: Vec<_> =
            commits.map(|version| newest.named_by(version, version > oldest)).collect();
        let mut reads = futures::stream::iter(reads).buffer_unordered(AT_ONCE);
        while let Some(names) = reads.try_next().await? {
            stay.extend(names);
        }
        Ok(stay)
    }

    /// A file of this version that is not there.
    pub(super) fn lost(&self, file: &str) -> LakeError {
        let what = format!("the file {file} of version {} is not there", self.version());
        LakeError::table(&self.name)(DeltaTableError::Generic(what))
    }

    /// All data files and change data that are there, whoever wrote them. Tables have no other folders
    /// than these: none is partitioned.
    async fn data_files(&self) -> Result<Vec<ObjectMeta>, LakeError> {
        let failed = |error| LakeError::table(&self.name)(DeltaTableError::from(error));
        let store = self.delta.object_store();
        let mut files = store.list_with_delimiter(None).await.map_err(failed)?.objects;
        for folder in [CHANGE_FOLDER, REWRITTEN_FOLDER] {
            let folder = Path::from(folder);
            files.extend(store.list_with_delimiter(Some(&folder)).await.map_err(failed)?.objects);
        }
        files.retain(|file| file.location.extension() == Some("parquet"));
        Ok(files)
    }
}

impl Lake {
    /// Removes what a local store left in a table's folder when its server was killed while it wrote,
    /// before a moment in epoch milliseconds, or in the folders of the table's folder before another;
    /// nothing in other stores.
    pub async fn remove_drafts(
        &self,
        folder: &str,
        table: &str,
        before: i64,
        apart: i64,
    ) -> Result<Drafts, LakeError> {
        let Some(root) = self.location.local() else { return Ok(Drafts::default()) };
        let root = root.join(folder).join(table);
        let removed = tokio::task::spawn_blocking(move || {
            let mut all = Drafts::default();
            let folders = [LOG_FOLDER, CHANGE_FOLDER, REWRITTEN_FOLDER].map(|it| root.join(it));
            let folders = folders.into_iter().map(|folder| (folder, apart));
            for (folder, before) in folders.chain([(root, before)]) {
                let some = remove_drafts(&folder, before)?;
                all.files += some.files;
                all.bytes += some.bytes;
                all.youngest = all.youngest.max(some.youngest);
            }
            io::Result::Ok(all)
        });
        let removed = removed.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        removed.map_err(|error| LakeError::table(table)(error.into()))
    }
}

impl Unreferenced {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// These without those that are pinned. Pins are to be read after this was listed.
    pub fn but_for(mut self, pinned: &BTreeSet<String>) -> Self {
        self.files.retain(|file| !pinned.contains(file.location.as_ref()));
        self
    }

    /// Removes them, and says how many they were and how many bytes.
    pub async fn remove(self, watch: &Watch) -> Result<(u64, u64), LakeError> {
        let store = self.table.delta.object_store();
        let (mut files, mut bytes) = (0, 0);
        for file in self.files {
            watch.go_on()?;
            match store.delete(&file.location).await {
                Ok(()) => {
                    files += 1;
                    bytes += file.size;
                }
                Err(ObjectStoreError::NotFound { .. }) => {}
                Err(error) => return Err(LakeError::table(self.table.name())(error.into())),
            }
        }
        Ok((files, bytes))
    }
}
