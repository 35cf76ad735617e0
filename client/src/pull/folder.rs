//! The folder that a snapshot is pulled into: what of it is there, and how the rest gets its place.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::error::PullError;
use super::fetch::Wanted;
use super::lock::{Lock, LockedFile};
use super::{STAGE, path};
use crate::digest::{of_file, of_files};

/// A folder that nobody else pulls into.
#[derive(Debug)]
pub(super) struct Folder {
    pub root: PathBuf,
    pub stage: PathBuf,
    /// Locked as long as this is there.
    _held: File,
}

impl Folder {
    /// Makes the folder, if need be, and locks it.
    pub fn open(root: &Path) -> Result<Self, PullError> {
        let failed = || PullError::file(root.display());
        fs::create_dir_all(root).map_err(failed())?;
        let held = File::open(root).map_err(failed())?;
        held.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => PullError::Busy(root.display().to_string()),
            TryLockError::Error(source) => failed()(source),
        })?;
        let stage = root.join(STAGE);
        match fs::symlink_metadata(&stage) {
            Ok(it) if it.is_dir() => {}
            Ok(_) => return Err(PullError::InTheWay(stage.display().to_string())),
            Err(_) => fs::create_dir(&stage).map_err(failed())?,
        }
        Ok(Self { root: root.to_owned(), stage, _held: held })
    }

    /// Files of the snapshot that are in their place, by path. Every content is read.
    pub fn there(
        &self,
        files: &[LockedFile],
        threads: usize,
    ) -> Result<BTreeSet<String>, PullError> {
        let mut likely = Vec::new();
        for file in files {
            let place = path::below(&self.root, &file.path)?;
            if fs::metadata(&place).is_ok_and(|it| it.len() == file.bytes) {
                likely.push((file, place));
            }
        }
        let places: Vec<PathBuf> = likely.iter().map(|(_, place)| place.clone()).collect();
        let mut there = BTreeSet::new();
        for ((file, place), digest) in likely.into_iter().zip(of_files(&places, threads)) {
            if digest.map_err(PullError::file(place.display()))? == file.sha256 {
                there.insert(file.path.clone());
            }
        }
        Ok(there)
    }

    /// Contents that are wanted, each once, less those that are in the stage.
    pub fn wanted(&self, files: &[LockedFile], there: &BTreeSet<String>) -> Vec<Wanted> {
        let mut seen = BTreeSet::new();
        let missing = files.iter().filter(|file| !there.contains(&file.path));
        missing
            .filter(|file| seen.insert(&file.sha256) && !self.staged(file))
            .map(|file| Wanted {
                path: file.path.clone(),
                bytes: file.bytes,
                sha256: file.sha256.clone(),
            })
            .collect()
    }

    /// Whether a content is in the stage, where only checked ones have this name.
    fn staged(&self, file: &LockedFile) -> bool {
        let staged = self.stage.join(&file.sha256);
        fs::symlink_metadata(staged).is_ok_and(|it| it.is_file() && it.len() == file.bytes)
    }

    /// Takes contents into the stage that lie in the folder at another path: those of the old lock.
    pub fn reuse(
        &self,
        old: Option<&Lock>,
        files: &[LockedFile],
        there: &BTreeSet<String>,
    ) -> Result<(), PullError> {
        let wanted: BTreeMap<&str, &LockedFile> = files
            .iter()
            .filter(|file| !there.contains(&file.path) && !self.staged(file))
            .map(|file| (file.sha256.as_str(), file))
            .collect();
        for held in old.iter().flat_map(|lock| &lock.files) {
            let Some(file) = wanted.get(held.sha256.as_str()) else { continue };
            let Ok(place) = path::below(&self.root, &held.path) else { continue };
            if fs::metadata(&place).is_ok_and(|it| it.len() == file.bytes) && !self.staged(file) {
                let draft = self.stage.join(format!("{}.draft", file.sha256));
                fs::copy(&place, &draft).map_err(PullError::file(place.display()))?;
                if of_file(&draft).map_err(PullError::file(draft.display()))? == file.sha256 {
                    fs::rename(&draft, self.stage.join(&file.sha256))
                        .map_err(PullError::file(&file.path))?;
                }
            }
        }
        Ok(())
    }

    /// Gives files their names.
    pub fn place(&self, files: &[LockedFile], there: &BTreeSet<String>) -> Result<(), PullError> {
        let missing: Vec<&LockedFile> =
            files.iter().filter(|file| !there.contains(&file.path)).collect();
        for (at, file) in missing.iter().enumerate() {
            let failed = || PullError::file(&file.path);
            let place = path::below(&self.root, &file.path)?;
            if let Some(above) = place.parent() {
                fs::create_dir_all(above).map_err(failed())?;
            }
            let staged = self.stage.join(&file.sha256);
            let again = missing.iter().skip(at + 1).any(|later| later.sha256 == file.sha256);
            if again {
                let draft = self.stage.join(format!("{}.draft", file.sha256));
                fs::copy(&staged, &draft).map_err(failed())?;
                fs::rename(&draft, &place).map_err(failed())?;
            } else {
                fs::rename(&staged, &place).map_err(failed())?;
            }
        }
        Ok(())
    }

    /// Removes files of an old snapshot that the new one has not in the same place, and says which.
    pub fn remove_old(
        &self,
        old: &Lock,
        new: &[LockedFile],
        replaced_too: bool,
    ) -> Result<Vec<String>, PullError> {
        let stays = |file: &LockedFile| match replaced_too {
            true => new.contains(file),
            false => new.iter().any(|it| it.path == file.path),
        };
        let mut removed = Vec::new();
        for file in old.files.iter().filter(|file| !stays(file)) {
            if self.remove(&file.path)? {
                removed.push(file.path.clone());
            }
        }
        Ok(removed)
    }

    /// Removes Parquet files that are not the snapshot's, and says which.
    pub fn prune(&self, files: &[LockedFile]) -> Result<Vec<String>, PullError> {
        let known: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
        let mut removed = Vec::new();
        for path in contents(&self.root)? {
            if path.ends_with(".parquet") && !known.contains(path.as_str()) && self.remove(&path)? {
                removed.push(path);
            }
        }
        Ok(removed)
    }

    fn remove(&self, path: &str) -> Result<bool, PullError> {
        let place = path::below(&self.root, path)?;
        match fs::remove_file(&place) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(source) => return Err(PullError::file(path)(source)),
        }
        // Folders go as far as nothing is left in them.
        let above = place.ancestors().skip(1).take_while(|it| *it != self.root);
        for folder in above {
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
        Ok(true)
    }

    /// Nothing is on its way any more.
    pub fn clear(&self) -> Result<(), PullError> {
        fs::remove_dir_all(&self.stage).map_err(PullError::file(STAGE))
    }
}

/// Paths of everything below a folder that is not a folder, links unfollowed, without the stage.
pub(super) fn contents(root: &Path) -> Result<Vec<String>, PullError> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed = || PullError::file(folder.display());
        let entries: io::Result<Vec<_>> =
            fs::read_dir(&folder).and_then(|entries| entries.collect());
        for entry in entries.map_err(failed())? {
            let path = entry.path();
            if path == root.join(STAGE) {
                continue;
            }
            match entry.file_type().map_err(failed())?.is_dir() {
                true => folders.push(path),
                false => {
                    let below = path.strip_prefix(root).unwrap_or(&path);
                    found.push(below.to_string_lossy().into_owned());
                }
            }
        }
    }
    found.sort();
    Ok(found)
}
