//! A snapshot is pulled into a folder: verified, resumable, and only what is not there yet.
//!
//! What is on its way lies in `.stedi/`, in `<sha256>.part` beside a journal of what of it is there, and
//! under its digest alone once it was checked. When all of it is there, files get their names, then
//! `manifest.json` and `snapshot.lock` are written, so that the lock never names what is not there.

mod error;
mod fetch;
mod folder;
mod lock;
mod manifest;
mod part;
mod path;
mod ranges;
mod verify;

pub use error::PullError;
pub use lock::{Lock, LockedFile};
pub use verify::{Fault, FaultKind, Verification, verify};

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::Semaphore;

use crate::digest::{is_digest, of_bytes};
use crate::retry::Retries;
use crate::server::Server;
use fetch::Fetch;
use folder::Folder;
use manifest::Checked;

/// The lock's name in the folder.
const LOCK: &str = "snapshot.lock";
/// The manifest's.
const MANIFEST: &str = "manifest.json";
/// Where files lie that are not whole.
const STAGE: &str = ".stedi";
/// Redactions of redactions that are followed.
const SUCCESSORS: usize = 100;

/// What is heard of a pull.
#[derive(Debug)]
pub enum PullEvent<'a> {
    /// So many files and bytes are not there yet.
    Missing {
        /// Files.
        files: u64,
        /// Bytes.
        bytes: u64,
    },
    /// So many bytes came, or were there from before.
    Bytes(u64),
    /// So many bytes that were there count for nothing.
    Lost(u64),
    /// A file is fetched and checked.
    Fetched(&'a str),
    /// Something is tried again.
    Again {
        /// The file.
        path: &'a str,
        /// Why.
        why: &'a str,
    },
    /// The snapshot was redacted, and this one is pulled.
    Successor(&'a str),
}

/// Who hears it.
type Tell = Arc<dyn Fn(PullEvent<'_>) + Send + Sync>;

/// How a snapshot is pulled.
#[derive(Clone, Debug)]
pub struct Pull {
    /// Its id, its name, or `latest`.
    pub asked: String,
    /// Into which folder.
    pub folder: PathBuf,
    /// Connections at once, and threads that compute digests.
    pub jobs: usize,
    /// Pulls what is asked for now, not what the lock pins, and removes what it has not.
    pub update: bool,
    /// Where the snapshot was redacted, pulls its successor, and removes what that has not.
    pub accept_redaction: bool,
    /// Removes Parquet files that are not the snapshot's.
    pub prune: bool,
    /// Bytes that one request asks for at most.
    pub piece: u64,
    /// How long nothing may come before a request is given up.
    pub patience: Duration,
    /// When requests are made again.
    pub retries: Retries,
}

/// What a pull did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pulled {
    /// The id of the snapshot that the folder holds now.
    pub snapshot: String,
    /// Its name.
    pub name: Option<String>,
    /// Its files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that were fetched.
    pub fetched_files: u64,
    /// Their bytes.
    pub fetched_bytes: u64,
    /// Files that were removed.
    pub removed: Vec<String>,
}

impl Pull {
    /// A pull as the command does it.
    pub fn new(asked: impl Into<String>, folder: impl Into<PathBuf>) -> Self {
        Self {
            asked: asked.into(),
            folder: folder.into(),
            jobs: 4,
            update: false,
            accept_redaction: false,
            prune: false,
            piece: 16 * 1024 * 1024,
            patience: Duration::from_secs(30),
            retries: Retries {
                tries: 8,
                longest: Duration::from_secs(20),
                total: Duration::from_secs(300),
                ..Retries::default()
            },
        }
    }

    /// Pulls it. What came before a break is kept, and the same pull again goes on from there.
    ///
    /// # Errors
    /// Says why the folder does not hold the snapshot.
    pub async fn run(
        &self,
        server: &Server,
        tell: impl Fn(PullEvent<'_>) + Send + Sync + 'static,
    ) -> Result<Pulled, PullError> {
        let tell: Tell = Arc::new(tell);
        let server = server.clone().with_retries(self.retries);
        let folder = Arc::new(Folder::open(&self.folder)?);
        let held = match Lock::read(&folder.root) {
            Err(PullError::Lock(_)) if self.update => None,
            held => held?,
        };
        let mut asked = match &held {
            Some(lock) if !self.update => {
                if self.asked != lock.asked && self.asked != lock.snapshot {
                    let (held, asked) = (lock.asked.clone(), self.asked.clone());
                    return Err(PullError::Other { held, asked });
                }
                lock.snapshot.clone()
            }
            _ => self.asked.clone(),
        };
        let mut redacted = false;
        for _ in 0..SUCCESSORS {
            match self.once(&server, &folder, held.as_ref(), &asked, redacted, &tell).await {
                Err(PullError::Redacted { superseded_by: Some(next), .. })
                    if self.accept_redaction || self.update =>
                {
                    tell(PullEvent::Successor(&next));
                    asked = next;
                    redacted = true;
                }
                Err(error @ PullError::Redacted { .. }) => {
                    // What is on its way may hold the rows.
                    folder.clear()?;
                    return Err(error);
                }
                done => return done,
            }
        }
        Err(PullError::Manifest("its successors have no end".to_owned()))
    }

    async fn once(
        &self,
        server: &Server,
        folder: &Arc<Folder>,
        held: Option<&Lock>,
        asked: &str,
        redacted: bool,
        tell: &Tell,
    ) -> Result<Pulled, PullError> {
        let manifest = self.manifest(server, asked).await?;
        let files = &manifest.files;
        let there = self.there(folder, held, files).await?;
        let mut removed = Vec::new();
        // Rows that may not be used any more do not wait for those that may.
        if let Some(old) = held.filter(|old| redacted && old.snapshot != manifest.id) {
            removed.extend(folder.remove_old(old, files, true)?);
        }
        let wanted = folder.wanted(files, &there);
        let bytes = wanted.iter().map(|file| file.bytes).sum();
        tell(PullEvent::Missing { files: wanted.len() as u64, bytes });
        let fetched_files = wanted.len() as u64;
        let fetch = Fetch {
            server: server.clone(),
            snapshot: manifest.id.clone(),
            stage: folder.stage.clone(),
            pull: self.clone(),
            tell: Arc::clone(tell),
            turns: Semaphore::new(self.jobs.max(1)),
        };
        Arc::new(fetch).all(wanted).await?;
        folder.place(files, &there)?;
        if let Some(old) = held.filter(|old| old.snapshot != manifest.id) {
            removed.extend(folder.remove_old(old, files, false)?);
        }
        if self.prune {
            removed.extend(folder.prune(files)?);
        }
        lock::replace(&folder.root, MANIFEST, &manifest.text)?;
        let lock = Lock {
            format: lock::FORMAT.to_owned(),
            snapshot: manifest.id.clone(),
            asked: held.filter(|_| !self.update).map_or(&self.asked, |old| &old.asked).clone(),
            server: server.address().to_owned(),
            manifest: of_bytes(&manifest.text),
            files: files.clone(),
        };
        lock.write(&folder.root)?;
        folder.clear()?;
        removed.sort();
        removed.dedup();
        Ok(Pulled {
            snapshot: manifest.id,
            name: manifest.name,
            files: files.len() as u64,
            bytes: files.iter().map(|file| file.bytes).sum(),
            fetched_files,
            fetched_bytes: bytes,
            removed,
        })
    }

    /// What is in its place, after contents that are at another one were taken from there.
    async fn there(
        &self,
        folder: &Arc<Folder>,
        held: Option<&Lock>,
        files: &[LockedFile],
    ) -> Result<BTreeSet<String>, PullError> {
        let (folder, held, files) = (Arc::clone(folder), held.cloned(), files.to_vec());
        let jobs = self.jobs;
        let read = tokio::task::spawn_blocking(move || {
            let there = folder.there(&files, jobs)?;
            folder.reuse(held.as_ref(), &files, &there)?;
            Ok(there)
        });
        let failed = PullError::file(self.folder.display());
        read.await.map_err(|error| failed(std::io::Error::other(error)))?
    }

    /// The manifest that was asked for, checked.
    async fn manifest(&self, server: &Server, asked: &str) -> Result<Checked, PullError> {
        let document = server.snapshot_document(asked).await;
        let document = document.map_err(|error| PullError::of_call(asked, error))?;
        let manifest = manifest::check(&document)?;
        if is_digest(asked) && asked != manifest.id {
            return Err(PullError::Manifest(format!("{asked} was asked for, not {}", manifest.id)));
        }
        if manifest.superseded_by.is_some() {
            let superseded_by = manifest.superseded_by;
            return Err(PullError::Redacted { snapshot: manifest.id, superseded_by });
        }
        Ok(manifest)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Compiles, so that a pull may run in a task of its own.
    #[test]
    fn a_pull_may_move_to_another_thread() {
        fn moves<T: Send>(_: T) {}
        let (pull, server) = (Pull::new("latest", "x"), Server::new("http://127.0.0.1:9").unwrap());
        moves(pull.run(&server, |_| {}));
    }
}
