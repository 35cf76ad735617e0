//! A folder is checked without a server: against its manifest, and that against its own id.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::error::PullError;
use super::folder::contents;
use super::lock::Lock;
use super::{LOCK, MANIFEST, manifest, path};
use crate::digest::{of_bytes, of_files};

/// What a folder is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// The id of its snapshot.
    pub snapshot: String,
    /// Files of the snapshot.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is not as it must be, by path.
    pub faults: Vec<Fault>,
}

/// A file that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Fault {
    /// Where it is, or should be, below the folder.
    pub path: String,
    /// What is wrong with it.
    pub kind: FaultKind,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// It is not there.
    Missing,
    /// It has another size.
    Size {
        /// The bytes that it must have.
        expected: u64,
        /// Those that it has.
        found: u64,
    },
    /// It has other bytes.
    Digest,
    /// It is a link, or lies behind one, or is no regular file.
    NotAFile,
    /// It is not of the snapshot.
    Extra,
    /// The lock does not go with the manifest.
    Lock,
}

impl FaultKind {
    /// The word for it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Size { .. } | Self::Digest => "wrong",
            Self::NotAFile => "not a file",
            Self::Extra => "extra",
            Self::Lock => "wrong lock",
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size { expected, found } => write!(f, "wrong: {found} bytes, not {expected}"),
            Self::Digest => f.write_str("wrong: other bytes than the manifest names"),
            Self::Lock => f.write_str("wrong: it names other files than the manifest"),
            other => f.write_str(other.name()),
        }
    }
}

/// Checks the folder that a snapshot was pulled into, on so many threads. Asks no server.
///
/// # Errors
/// [`PullError::Manifest`] if the manifest is not what it says, so that nothing can be checked;
/// [`PullError::File`] if something cannot be read.
pub fn verify(folder: &Path, threads: usize) -> Result<Verification, PullError> {
    let text = fs::read(folder.join(MANIFEST)).map_err(PullError::file(MANIFEST))?;
    let document = serde_json::from_slice(&text)
        .map_err(|error| PullError::Manifest(format!("{MANIFEST}: {error}")))?;
    let manifest = manifest::check(&document)?;
    let mut faults = Vec::new();
    let mut fault = |path: &str, kind| faults.push(Fault { path: path.to_owned(), kind });
    match Lock::read(folder) {
        Ok(Some(lock)) => {
            let same = lock.snapshot == manifest.id
                && lock.manifest == of_bytes(&text)
                && lock.files == manifest.files;
            if !same {
                fault(LOCK, FaultKind::Lock);
            }
        }
        Ok(None) => fault(LOCK, FaultKind::Missing),
        Err(PullError::Lock(_) | PullError::Path(_)) => fault(LOCK, FaultKind::Lock),
        Err(error) => return Err(error),
    }
    let mut right_size = Vec::new();
    for file in &manifest.files {
        let place = match path::below(folder, &file.path) {
            Ok(place) => place,
            Err(PullError::InTheWay(_)) => {
                fault(&file.path, FaultKind::NotAFile);
                continue;
            }
            Err(error) => return Err(error),
        };
        match fs::metadata(&place) {
            Ok(it) if it.len() == file.bytes => right_size.push((file, place)),
            Ok(it) => {
                fault(&file.path, FaultKind::Size { expected: file.bytes, found: it.len() });
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fault(&file.path, FaultKind::Missing);
            }
            Err(source) => return Err(PullError::file(&file.path)(source)),
        }
    }
    let places: Vec<PathBuf> = right_size.iter().map(|(_, place)| place.clone()).collect();
    for ((file, _), digest) in right_size.iter().zip(of_files(&places, threads)) {
        if digest.map_err(PullError::file(&file.path))? != file.sha256 {
            fault(&file.path, FaultKind::Digest);
        }
    }
    let known: BTreeSet<&str> = manifest.files.iter().map(|file| file.path.as_str()).collect();
    for path in contents(folder)? {
        if !known.contains(path.as_str()) && path != LOCK && path != MANIFEST {
            fault(&path, FaultKind::Extra);
        }
    }
    faults.sort();
    Ok(Verification {
        snapshot: manifest.id,
        files: manifest.files.len() as u64,
        bytes: manifest.files.iter().map(|file| file.bytes).sum(),
        faults,
    })
}
