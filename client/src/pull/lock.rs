//! `snapshot.lock`: which snapshot a folder holds.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::PullError;
use super::{LOCK, STAGE, path};
use crate::digest::is_digest;

/// What [`Lock::format`] says so far.
pub(super) const FORMAT: &str = "stedi-pull/1";

/// What a folder was pulled from. It pins the id: a name may point to another snapshot tomorrow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// `stedi-pull/1`.
    pub format: String,
    /// The id of the snapshot.
    pub snapshot: String,
    /// What was asked for: an id, a name, or `latest`.
    pub asked: String,
    /// The server that gave it.
    pub server: String,
    /// SHA-256 of `manifest.json`, in hexadecimal.
    pub manifest: String,
    /// Its files.
    pub files: Vec<LockedFile>,
}

/// A file of a snapshot in a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LockedFile {
    /// Where it lies below the folder.
    pub path: String,
    /// Its bytes.
    pub bytes: u64,
    /// Its digest, in hexadecimal.
    pub sha256: String,
}

impl Lock {
    /// The lock of a folder; `None` where there is none.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, PullError> {
        let text = match fs::read(folder.join(LOCK)) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(PullError::file(LOCK)(source)),
        };
        let lock: Self =
            serde_json::from_slice(&text).map_err(|error| PullError::Lock(error.to_string()))?;
        if lock.format != FORMAT {
            return Err(PullError::Lock(format!("format {:?}", lock.format)));
        }
        if !is_digest(&lock.snapshot) {
            return Err(PullError::Lock("it names no snapshot".to_owned()));
        }
        for file in &lock.files {
            path::check(&file.path)?;
        }
        Ok(Some(lock))
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), PullError> {
        let mut text =
            serde_json::to_vec_pretty(self).map_err(|error| PullError::Lock(error.to_string()))?;
        text.push(b'\n');
        replace(folder, LOCK, &text)
    }
}

/// Writes a file of the folder as a whole: either the old text is there, or the new one.
pub(super) fn replace(folder: &Path, name: &str, text: &[u8]) -> Result<(), PullError> {
    let draft = folder.join(STAGE).join(format!("{name}.draft"));
    let written = fs::write(&draft, text).and_then(|()| fs::rename(&draft, folder.join(name)));
    written.map_err(PullError::file(name))
}
