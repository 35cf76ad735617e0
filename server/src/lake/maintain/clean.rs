//! Cleanup of the log: commits and checkpoints that nobody needs any more.

use deltalake::ObjectStoreError;
use deltalake::logstore::object_store::ObjectStoreExt;
use deltalake::logstore::object_store::path::Path;

use crate::lake::error::LakeError;
use crate::lake::log_files::LogFiles;
use crate::lake::table::Table;
use crate::lake::watch::Watch;

/// Files that one cleanup removes at most; the next one goes on.
const MOST: usize = 5_000;

/// Files of a log that nobody needs.
#[derive(Debug)]
pub struct PastLog {
    table: Table,
    /// Oldest first.
    files: Vec<Path>,
    /// Whether it was `needed` that keeps more.
    pub held: bool,
}

impl Table {
    /// The files of the log that are needed neither to read a version that was the newest one at
    /// `since` (epoch milliseconds) or later, nor to tell what changed after the version `needed`.
    ///
    /// What stays begins with a checkpoint, so that each version that is left can be read.
    pub async fn past_log(&self, since: i64, needed: Option<u64>) -> Result<PastLog, LakeError> {
        let log = self.log_files().await?;
        let begin = begin(&log, since, needed).unwrap_or_default();
        let held = needed.is_some() && begin < self::begin(&log, since, None).unwrap_or_default();
        let files = log.files.into_iter().filter(|(version, _)| *version < begin);
        let files = files.map(|(_, path)| path).take(MOST).collect();
        Ok(PastLog { table: self.clone(), files, held })
    }
}

/// The version whose checkpoint the log is to begin with.
fn begin(log: &LogFiles, since: i64, needed: Option<u64>) -> Option<u64> {
    let then = log.commits.iter().rev().find(|(_, millis)| **millis <= since);
    let (&then, _) = then?;
    // Of a version that is known, only the commits after it are needed.
    let most = needed.map_or(then, |needed| then.min(needed.saturating_add(1)));
    let begin = log.checkpoints.range(..=most).next_back().copied()?;
    // Only where everything after it is there.
    (log.oldest()? <= begin).then_some(begin)
}

impl PastLog {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Removes them, oldest first, so that what is left is whole whenever this ends. Says how many
    /// commits there were among them.
    pub async fn remove(self, watch: &Watch) -> Result<u64, LakeError> {
        let store = self.table.delta.object_store();
        let mut commits = 0;
        for file in self.files {
            watch.go_on()?;
            match store.delete(&file).await {
                Ok(()) => {}
                Err(ObjectStoreError::NotFound { .. }) => continue,
                Err(error) => return Err(LakeError::table(self.table.name())(error.into())),
            }
            let name = file.filename().unwrap_or_default();
            commits += u64::from(name.split_once('.').is_some_and(|(_, rest)| rest == "json"));
        }
        Ok(commits)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Commit n is made at the time 10 n.
    fn log(commits: std::ops::Range<u64>, checkpoints: &[u64]) -> LogFiles {
        LogFiles {
            commits: commits.map(|version| (version, 10 * version as i64)).collect(),
            checkpoints: checkpoints.iter().copied().collect::<BTreeSet<_>>(),
            files: Vec::new(),
        }
    }

    #[test]
    fn nothing_goes_without_a_checkpoint() {
        assert_eq!(begin(&log(0..9, &[]), 1_000, None), None);
        assert_eq!(begin(&log(0..0, &[]), 1_000, None), None);
    }

    #[test]
    fn what_was_the_newest_version_then_can_be_read() {
        let log = log(0..30, &[5, 10, 20]);
        assert_eq!(begin(&log, 1_000, None), Some(20));
        assert_eq!(begin(&log, 200, None), Some(20));
        assert_eq!(begin(&log, 199, None), Some(10));
        assert_eq!(begin(&log, 100, None), Some(10));
        assert_eq!(begin(&log, 99, None), Some(5));
        assert_eq!(begin(&log, 49, None), None);
        assert_eq!(begin(&log, -1, None), None);
    }

    #[test]
    fn what_changed_since_a_known_version_can_be_told() {
        let log = log(0..30, &[5, 10, 20]);
        assert_eq!(begin(&log, 1_000, Some(29)), Some(20));
        assert_eq!(begin(&log, 1_000, Some(19)), Some(20));
        assert_eq!(begin(&log, 1_000, Some(18)), Some(10));
        assert_eq!(begin(&log, 1_000, Some(9)), Some(10));
        assert_eq!(begin(&log, 1_000, Some(0)), None);
    }

    #[test]
    fn a_log_with_a_gap_stays() {
        let mut gap = log(0..30, &[5, 10]);
        gap.commits.remove(&15);
        assert_eq!(begin(&gap, 1_000, None), None);
    }
}
