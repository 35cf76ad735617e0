//! Every object of a lake. A folder is walked, since its store hides some files.

use std::fs;
use std::io;
use std::path::{Path as FilePath, PathBuf};

use deltalake::logstore::object_store::ObjectStore;
use deltalake::logstore::object_store::path::Path;
use futures::TryStreamExt;

use crate::lake::error::LakeError;
use crate::lake::store::Lake;

/// Where an object is.
#[derive(Clone, Debug)]
pub(super) enum At {
    Store(Path),
    File(PathBuf),
    /// A folder, of which there is a name only.
    Folder,
    /// Something that is neither a file nor a folder.
    Other,
}

/// An object of the lake.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    /// Its path below the root.
    pub name: String,
    pub size: u64,
    pub at: At,
}

impl Lake {
    /// Everything below the root.
    pub(super) async fn everything(&self) -> Result<Vec<Listed>, LakeError> {
        if let Some(root) = self.location.local() {
            let walked = tokio::task::spawn_blocking(move || walk(&root));
            let walked = walked.await.unwrap_or_else(|error| Err(io::Error::other(error)));
            return walked.map_err(|error| LakeError::Unreadable {
                path: String::new(),
                reason: error.to_string(),
            });
        }
        let mut objects = Vec::new();
        let mut listed = self.store.list(Some(&self.root));
        let failed = |source| LakeError::Object { path: String::new(), source: Box::new(source) };
        while let Some(object) = listed.try_next().await.map_err(failed)? {
            let parts = object.location.prefix_match(&self.root);
            let parts = parts.map(|parts| parts.map(|it| it.as_ref().to_owned()).collect());
            let name: Vec<String> = parts.unwrap_or_default();
            objects.push(Listed {
                name: name.join("/"),
                size: object.size,
                at: At::Store(object.location),
            });
        }
        Ok(objects)
    }
}

fn walk(root: &FilePath) -> io::Result<Vec<Listed>> {
    let (mut found, mut folders) = (Vec::new(), vec![(root.to_owned(), String::new())]);
    while let Some((folder, prefix)) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type()?;
            let (size, at) = if kind.is_dir() {
                folders.push((entry.path(), format!("{name}/")));
                (0, At::Folder)
            } else if kind.is_file() {
                // It may be gone, or have got its name, a moment later.
                (entry.metadata().map_or(0, |it| it.len()), At::File(entry.path()))
            } else {
                (0, At::Other)
            };
            found.push(Listed { name, size, at });
        }
    }
    Ok(found)
}
