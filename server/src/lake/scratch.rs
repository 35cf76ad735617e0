//! A folder for what does not fit into memory, of this process alone. What it holds are rows of persons,
//! so what a process left that was killed goes when the next one starts.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

/// A file that is locked as long as the process lives whose folder has the same name.
const LOCK: &str = "lock";

/// The folder; it goes with this.
#[derive(Debug)]
pub(super) struct Scratch {
    folder: PathBuf,
    lock: PathBuf,
    _locked: File,
}

impl Scratch {
    /// A new folder below this one, which is made, and where others' leftovers are removed.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn open(parent: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(parent)?;
        remove_leftovers(parent)?;
        loop {
            let name = Uuid::new_v4().simple().to_string();
            let (folder, lock) = (parent.join(&name), parent.join(name).with_extension(LOCK));
            let locked = File::create_new(&lock)?;
            // Without it nobody can tell that this process lives, and nobody removes the folder.
            if let Err(error) = locked.lock() {
                tracing::warn!(folder = %folder.display(), %error, "a folder cannot be locked");
            }
            // Somebody who starts at the same moment may have taken it for a leftover.
            if lock.exists() {
                std::fs::create_dir(&folder)?;
                return Ok(Self { folder, lock, _locked: locked });
            }
        }
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
        let _ = std::fs::remove_file(&self.lock);
    }
}

fn remove_leftovers(parent: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(parent)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != LOCK) {
            continue;
        }
        match remove_unlocked(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "a leftover is not removed");
            }
            _ => {}
        }
    }
    Ok(())
}

/// Removes a folder and its lock, unless a process has that.
fn remove_unlocked(lock: &Path) -> io::Result<()> {
    // Some file systems lock only what may be written.
    let file = File::options().read(true).write(true).open(lock)?;
    match file.try_lock() {
        Ok(()) => {
            let folder = lock.with_extension("");
            if folder.exists() {
                tracing::info!(folder = %folder.display(), "what a killed process left is removed");
                std::fs::remove_dir_all(folder)?;
            }
            std::fs::remove_file(lock)
        }
        Err(TryLockError::WouldBlock) => Ok(()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_dead_left_goes_and_what_the_living_have_stays() {
        let parent = std::env::temp_dir().join(format!("stedi-scratch-{}", Uuid::new_v4()));
        let alive = Scratch::open(&parent).unwrap();
        std::fs::write(alive.folder().join("rows"), "somebody's").unwrap();
        let dead = parent.join("dead");
        std::fs::create_dir(&dead).unwrap();
        std::fs::write(dead.join("rows"), "somebody's").unwrap();
        std::fs::write(dead.with_extension(LOCK), "").unwrap();
        let next = Scratch::open(&parent).unwrap();
        assert!(alive.folder().join("rows").exists() && next.folder().exists());
        assert!(!dead.exists() && !dead.with_extension(LOCK).exists());
        drop((alive, next));
        assert_eq!(std::fs::read_dir(&parent).unwrap().count(), 0);
        std::fs::remove_dir_all(parent).unwrap();
    }
}
