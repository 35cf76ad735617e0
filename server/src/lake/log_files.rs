//! The files of a table's log, as one listing gives them (Delta protocol, "Delta Log Entries" and
//! "Checkpoints").

use std::collections::{BTreeMap, BTreeSet};

use deltalake::logstore::object_store::ObjectStore;
use deltalake::logstore::object_store::path::Path;
use futures::TryStreamExt;

use super::error::LakeError;
use super::table::Table;

/// The folder of a table that holds its log.
pub(super) const LOG_FOLDER: &str = "_delta_log";
/// Digits of a version in a file's name.
const DIGITS: usize = 20;

/// What is in a log.
#[derive(Debug, Default)]
pub(super) struct LogFiles {
    /// Each commit, and when it was made: epoch milliseconds, never before those of an older one.
    pub commits: BTreeMap<u64, i64>,
    /// Versions of whole checkpoints.
    pub checkpoints: BTreeSet<u64>,
    /// Every file that belongs to a version, oldest version first.
    pub files: Vec<(u64, Path)>,
}

/// What a file of a version is.
enum Kind {
    Commit,
    Checkpoint,
    /// A part of a checkpoint, and how many there are.
    Part(u64),
    Other,
}

impl Table {
    /// Lists the log.
    pub(super) async fn log_files(&self) -> Result<LogFiles, LakeError> {
        let failed = |error| LakeError::table(&self.name)(deltalake::DeltaTableError::from(error));
        let store = self.delta.object_store();
        let mut listed = store.list(Some(&Path::from(LOG_FOLDER)));
        let mut files = Vec::new();
        while let Some(file) = listed.try_next().await.map_err(failed)? {
            files.push((file.location, file.last_modified.timestamp_millis()));
        }
        Ok(LogFiles::of(files))
    }
}

impl LogFiles {
    fn of(files: Vec<(Path, i64)>) -> Self {
        let mut log = Self::default();
        let mut parts = BTreeMap::<(u64, u64), u64>::new();
        for (path, millis) in files {
            let Some((version, kind)) = path.filename().and_then(parsed) else { continue };
            match kind {
                Kind::Commit => {
                    log.commits.insert(version, millis);
                }
                Kind::Checkpoint => {
                    log.checkpoints.insert(version);
                }
                Kind::Part(of) => *parts.entry((version, of)).or_default() += 1,
                Kind::Other => {}
            }
            log.files.push((version, path));
        }
        let whole = parts.into_iter().filter(|((_, of), found)| of == found);
        log.checkpoints.extend(whole.map(|((version, _), _)| version));
        log.files.sort();
        let mut latest = i64::MIN;
        for millis in log.commits.values_mut() {
            latest = latest.max(*millis);
            *millis = latest;
        }
        log
    }

    /// The oldest version that can be read: from there on every commit is there, and the state
    /// before them too.
    pub fn oldest(&self) -> Option<u64> {
        let mut first = None;
        for version in self.commits.keys().rev() {
            if first.is_some_and(|first| version + 1 != first) {
                break;
            }
            first = Some(*version);
        }
        match first {
            Some(0) => Some(0),
            Some(first) => self.checkpoints.range(first.saturating_sub(1)..).next().copied(),
            None => self.checkpoints.last().copied(),
        }
    }

    /// The newest checkpoint.
    pub fn checkpoint(&self) -> Option<u64> {
        self.checkpoints.last().copied()
    }
}

/// The version that a file of the log belongs to; of several, the first.
pub(super) fn version_of(name: &str) -> Option<u64> {
    parsed(name).map(|(version, _)| version)
}

/// The version that a commit's file makes; `None` for other files.
pub(super) fn commit_of(name: &str) -> Option<u64> {
    parsed(name).filter(|(_, kind)| matches!(kind, Kind::Commit)).map(|(version, _)| version)
}

fn parsed(name: &str) -> Option<(u64, Kind)> {
    let (digits, rest) = name.split_once('.')?;
    if digits.len() != DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let kind = match rest.split('.').collect::<Vec<_>>()[..] {
        ["json"] => Kind::Commit,
        ["checkpoint", "parquet"] => Kind::Checkpoint,
        ["checkpoint", _, of, "parquet"] => Kind::Part(of.parse().ok()?),
        _ => Kind::Other,
    };
    Some((digits.parse().ok()?, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(names: &[&str]) -> LogFiles {
        let path = |name: &&str| Path::from(format!("{LOG_FOLDER}/{name}"));
        LogFiles::of(names.iter().rev().map(|name| (path(name), 5)).collect())
    }

    fn commits(versions: impl IntoIterator<Item = u64>) -> Vec<String> {
        versions.into_iter().map(|version| format!("{version:020}.json")).collect()
    }

    fn oldest(versions: impl IntoIterator<Item = u64>, checkpoints: &[u64]) -> Option<u64> {
        let mut names = commits(versions);
        names.extend(checkpoints.iter().map(|it| format!("{it:020}.checkpoint.parquet")));
        log(&names.iter().map(String::as_str).collect::<Vec<_>>()).oldest()
    }

    #[test]
    fn the_oldest_version_that_can_be_read() {
        assert_eq!(oldest([], &[]), None);
        assert_eq!(oldest(0..4, &[]), Some(0));
        assert_eq!(oldest(0..4, &[2]), Some(0));
        assert_eq!(oldest(1..4, &[]), None);
        assert_eq!(oldest(1..4, &[0]), Some(0));
        assert_eq!(oldest(2..4, &[0, 3]), Some(3));
        assert_eq!(oldest(2..9, &[4, 6]), Some(4));
        // A cleanup that was cut short.
        assert_eq!(oldest([1, 2, 4, 5, 6], &[2, 5]), Some(5));
        assert_eq!(oldest([], &[2, 5]), Some(5));
    }

    #[test]
    fn names_of_all_kinds() {
        let log = log(&[
            "00000000000000000003.json",
            "00000000000000000003.checkpoint.0000000001.0000000002.parquet",
            "00000000000000000003.checkpoint.0000000002.0000000002.parquet",
            "00000000000000000002.checkpoint.0000000001.0000000002.parquet",
            "00000000000000000001.checkpoint.parquet",
            "00000000000000000001.crc",
            "00000000000000000001.00000000000000000003.compacted.json",
            "_last_checkpoint",
            "_commit_x.json.tmp",
            "3.json",
        ]);
        assert_eq!(log.commits.keys().copied().collect::<Vec<_>>(), [3]);
        assert_eq!(log.checkpoints.iter().copied().collect::<Vec<_>>(), [1, 3]);
        assert_eq!(log.checkpoint(), Some(3));
        let versions: Vec<u64> = log.files.iter().map(|(version, _)| *version).collect();
        assert_eq!(versions, [1, 1, 1, 2, 3, 3, 3]);
    }

    #[test]
    fn times_never_go_back() {
        let path = |version: u64| Path::from(format!("{LOG_FOLDER}/{version:020}.json"));
        let log = LogFiles::of(vec![(path(2), 7), (path(1), 9), (path(0), 1)]);
        assert_eq!(log.commits.into_values().collect::<Vec<_>>(), [1, 9, 9]);
    }
}
