//! A manifest that is what it says, and whose files can be put into a folder.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;
use stedi_openapi::{Manifest, SNAPSHOT_FORMAT};

use super::error::PullError;
use super::lock::LockedFile;
use super::path;
use crate::digest::{is_digest, manifest_id};

/// A checked manifest.
#[derive(Debug)]
pub(super) struct Checked {
    pub id: String,
    pub name: Option<String>,
    pub superseded_by: Option<String>,
    /// Its files, by path.
    pub files: Vec<LockedFile>,
    /// In canonical form, as it is kept.
    pub text: Vec<u8>,
}

/// Checks a manifest: its id is the digest of what it says, its paths stay in the folder.
pub(super) fn check(document: &Value) -> Result<Checked, PullError> {
    let wrong = |why: String| PullError::Manifest(why);
    let manifest: Manifest =
        Manifest::deserialize(document).map_err(|error| wrong(error.to_string()))?;
    if manifest.format != SNAPSHOT_FORMAT {
        return Err(wrong(format!("its format is {:?}", manifest.format)));
    }
    let id = manifest_id(document).unwrap_or_default();
    if id != manifest.id {
        return Err(wrong(format!("its id is {}, and its content has {id}", manifest.id)));
    }
    let files = manifest.tables.into_iter().flat_map(|table| table.files);
    let mut files: Vec<LockedFile> =
        files.map(|it| LockedFile { path: it.path, bytes: it.bytes, sha256: it.sha256 }).collect();
    files.sort();
    let mut paths = BTreeSet::new();
    for file in &files {
        path::check(&file.path)?;
        if !paths.insert(&file.path) {
            return Err(wrong(format!("{} is in it twice", file.path)));
        }
        if !is_digest(&file.sha256) {
            return Err(wrong(format!("{} has no digest", file.path)));
        }
    }
    let text = serde_json_canonicalizer::to_vec(document).map_err(|it| wrong(it.to_string()))?;
    let (name, superseded_by) = (manifest.name, manifest.superseded_by);
    Ok(Checked { id, name, superseded_by, files, text })
}
