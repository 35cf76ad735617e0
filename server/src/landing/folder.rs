//! The files of a folder, in the order in which they are loaded.

use std::path::{Path, PathBuf};

use super::error::LandingError;

/// The files right below a folder, by name. Names that begin with a dot are left out, as a store's
/// and an editor's own files do. No folder, no files.
pub fn files_of(folder: &Path) -> Result<Vec<PathBuf>, LandingError> {
    let failed = |source| LandingError::Folder { folder: folder.to_owned(), source };
    if !folder.try_exists().map_err(failed)? {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        // Follows links, so that a folder of links to files works.
        if !hidden && entry.path().is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}
