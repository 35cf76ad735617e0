//! What a purge removes: files of the past, and the part of the log that named them.

use std::collections::BTreeSet;

use deltalake::ObjectStoreError;
use deltalake::logstore::object_store::path::Path;
use deltalake::logstore::object_store::{ObjectMeta, ObjectStore};
use futures::{StreamExt, TryStreamExt};

use super::purge::PurgeOrder;
use super::unfinished::Unfinished;
use crate::lake::error::LakeError;
use crate::lake::log_files::{LOG_FOLDER, commit_of, version_of};
use crate::lake::purged::Purged;
use crate::lake::store::Lake;
use crate::lake::table::Table;
use crate::lake::watch::Watch;

/// Commits that are read at the same time.
const AT_ONCE: usize = 8;
/// Files that are removed by one request, where the store can.
const TOGETHER: usize = 100;

/// Files that a purge removes.
#[derive(Debug)]
pub struct Past {
    table: Table,
    files: Vec<ObjectMeta>,
    /// When the youngest of those can go that may belong to a writer which has not committed yet, in
    /// epoch milliseconds; `None` if there are none.
    pub waits_until: Option<i64>,
}

impl Table {
    /// The files in the table's folder that a purge removes: all but those that the newest version
    /// has, or a commit after the purge's version names, or that are pinned.
    ///
    /// A file that no commit names may be somebody's who has not committed yet: it goes when nobody can
    /// any more. One that is younger than the purge is not its concern.
    ///
    /// # Errors
    /// Also if one of the newest version's files is not where it should be: then this does not know
    /// what it sees, and must not remove anything.
    pub async fn past_data(
        &self,
        purged: &Purged,
        order: &PurgeOrder,
        unfinished: &Unfinished,
    ) -> Result<Past, LakeError> {
        // What is listed first and named later is kept.
        let objects = self.objects().await?;
        let there: BTreeSet<&str> = objects.iter().map(|file| file.location.as_ref()).collect();
        let newest = self.refreshed().await?;
        let live = newest.files()?;
        if let Some(gone) = live.names().find(|name| !there.contains(name)) {
            return Err(newest.lost(gone));
        }
        let log = newest.log_files().await?;
        let (before, after): (Vec<u64>, Vec<u64>) =
            log.commits.into_keys().partition(|version| *version <= purged.version);
        let mut stay = newest.all_named_by(after).await?;
        stay.extend(live.names().map(str::to_owned));
        stay.extend(order.pins.files.iter().cloned());
        let once = newest.all_named_by(before).await?;
        let (mut files, mut youngest) = (Vec::new(), None);
        for file in objects {
            let name = file.location.as_ref();
            if stay.contains(name) || is_log(name) {
                continue;
            }
            let written = file.last_modified.timestamp_millis();
            if once.contains(name) || unfinished.is_over(name, written) {
                files.push(file);
            } else if unfinished.concerns(written) {
                youngest = youngest.max(Some(written));
            }
        }
        let waits_until = youngest.map(|written| order.finished_at(written));
        Ok(Past { table: self.clone(), files, waits_until })
    }

    /// The files of the log that a purge removes: everything of versions before its own, and what is
    /// nobody's. What stays begins with a checkpoint of its version, which is written if need be.
    pub async fn past_commits(
        &self,
        lake: &Lake,
        folder: &str,
        purged: &Purged,
        order: &PurgeOrder,
        unfinished: &Unfinished,
    ) -> Result<Past, LakeError> {
        let version = purged.version;
        let log = self.log_files().await?;
        if !log.checkpoints.contains(&version) {
            lake.table_at(folder, &self.name, version).await?.checkpoint(lake, folder).await?;
        }
        for checkpoint in log.checkpoints.range(version..).chain([&version]) {
            self.without_tombstones(*checkpoint).await?;
        }
        self.hint_at(version).await?;
        let (mut files, mut youngest) = (Vec::new(), None);
        for file in self.objects().await? {
            let name = file.location.filename().unwrap_or_default();
            if !is_log(file.location.as_ref()) || name == "_last_checkpoint" {
                continue;
            }
            let goes = match version_of(name) {
                Some(of) if of == version => !purged.marked && commit_of(name).is_some(),
                Some(of) => of < version,
                None => {
                    let written = file.last_modified.timestamp_millis();
                    let over = unfinished.is_over(file.location.as_ref(), written);
                    if !over && unfinished.concerns(written) {
                        youngest = youngest.max(Some(written));
                    }
                    over
                }
            };
            if goes {
                files.push(file);
            }
        }
        // Oldest first, so that what is left is whole whenever this ends.
        files.sort_by(|a, b| a.location.cmp(&b.location));
        let waits_until = youngest.map(|written| order.finished_at(written));
        Ok(Past { table: self.clone(), files, waits_until })
    }

    /// Everything in the table's folder, whoever wrote it.
    async fn objects(&self) -> Result<Vec<ObjectMeta>, LakeError> {
        let objects = self.delta.object_store().list(None).try_collect().await;
        objects.map_err(|error| self.store_failed(error))
    }

    async fn all_named_by(&self, commits: Vec<u64>) -> Result<BTreeSet<String>, LakeError> {
        let reads: Vec<_> = commits.into_iter().map(|it| self.named_by(it, true)).collect();
        let mut reads = futures::stream::iter(reads).buffer_unordered(AT_ONCE);
        let mut all = BTreeSet::new();
        while let Some(names) = reads.try_next().await? {
            all.extend(names);
        }
        Ok(all)
    }

    fn store_failed(&self, error: ObjectStoreError) -> LakeError {
        LakeError::table(&self.name)(error.into())
    }
}

fn is_log(name: &str) -> bool {
    name.split('/').next() == Some(LOG_FOLDER)
}

impl Past {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// These without those that are pinned. Pins are to be read after this was listed.
    pub fn but_for(mut self, pinned: &BTreeSet<String>) -> Self {
        self.files.retain(|file| !pinned.contains(file.location.as_ref()));
        self
    }

    /// Removes them, and notes with the purge how many they were.
    pub async fn remove(
        self,
        lake: &Lake,
        purged: Purged,
        watch: &Watch,
    ) -> Result<Purged, LakeError> {
        let mut noted = purged;
        let store = self.table.delta.object_store();
        let mut outcome = Ok(());
        for files in self.files.chunks(TOGETHER) {
            outcome = watch.go_on();
            if outcome.is_err() {
                break;
            }
            let paths: Vec<Result<Path, ObjectStoreError>> =
                files.iter().map(|file| Ok(file.location.clone())).collect();
            let mut removals = store.delete_stream(futures::stream::iter(paths).boxed());
            while let Some(removed) = removals.next().await {
                match removed {
                    // A store may or may not say that one was gone already.
                    Ok(_) | Err(ObjectStoreError::NotFound { .. }) => {}
                    Err(error) => outcome = Err(self.table.store_failed(error)),
                }
            }
            if outcome.is_err() {
                break;
            }
            files.iter().for_each(|file| count(&mut noted, file));
        }
        lake.note_purge(&noted).await?;
        outcome.map(|()| noted)
    }
}

fn count(purged: &mut Purged, file: &ObjectMeta) {
    let name = file.location.filename().unwrap_or_default();
    if !is_log(file.location.as_ref()) {
        purged.files_removed += 1;
        purged.bytes_removed += file.size;
    } else if commit_of(name).is_some() {
        purged.commits_removed += 1;
    } else {
        purged.log_files_removed += 1;
    }
}
