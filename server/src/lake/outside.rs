//! Files outside of the lake.

use std::collections::HashMap;
use std::fmt;

use bytes::Bytes;
use deltalake::ObjectStoreError;
use deltalake::logstore::object_store::path::Path;
use deltalake::logstore::object_store::{ObjectStore, ObjectStoreExt};
use deltalake::logstore::{ObjectStoreRef, store_for};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};

use super::error::LakeError;
use super::location::Location;
use super::store::store_options;

/// A place with files, which are only read.
pub struct Outside {
    store: ObjectStoreRef,
    root: Path,
    /// As it was named.
    name: String,
}

/// A file of such a place.
#[derive(Clone, Debug)]
pub struct OutsideFile {
    /// Its path below the place.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Changes with its content: what the store says, or when it was last changed.
    pub stamp: String,
    path: Path,
}

impl fmt::Debug for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outside({})", self.name)
    }
}

impl Outside {
    /// A place to read from. S3 takes what the lake takes: the `AWS_*` variables.
    ///
    /// # Errors
    /// [`LakeError::Location`] if there is no way to it.
    pub fn open(location: &Location) -> Result<Self, LakeError> {
        let name = location.to_string();
        let wrong = |reason: String| LakeError::Location { given: location.to_string(), reason };
        let mut whole = location.url().clone();
        whole.set_path("/");
        let options: HashMap<String, String> = store_options();
        let store = store_for(&whole, options).map_err(|error| wrong(error.to_string()))?;
        let root = Path::from_url_path(location.url().path());
        let root = root.map_err(|error| wrong(error.to_string()))?;
        Ok(Self { store, root, name })
    }

    /// All files with something in them, by name. Those that begin with a dot or an underscore are
    /// others' marks, as tools that write files leave them.
    pub async fn list(&self) -> Result<Vec<OutsideFile>, LakeError> {
        let listed = self.store.list(Some(&self.root)).try_collect::<Vec<_>>().await;
        let listed = listed.map_err(|error| self.failed("", error))?;
        let mut files = Vec::with_capacity(listed.len());
        for object in listed {
            let Some(parts) = object.location.prefix_match(&self.root) else { continue };
            let parts: Vec<String> = parts.map(|part| part.as_ref().to_owned()).collect();
            let hidden = parts.iter().any(|part| part.starts_with(['.', '_']));
            if hidden || object.size == 0 || parts.is_empty() {
                continue;
            }
            files.push(OutsideFile {
                name: parts.join("/"),
                size: object.size,
                stamp: object.e_tag.unwrap_or_else(|| object.last_modified.to_rfc3339()),
                path: object.location,
            });
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(files)
    }

    /// The bytes of a file, as they come.
    pub async fn read(
        &self,
        file: &OutsideFile,
    ) -> Result<BoxStream<'static, Result<Bytes, LakeError>>, LakeError> {
        let got = self.store.get(&file.path).await;
        let got = got.map_err(|error| self.failed(&file.name, error))?;
        let (name, file) = (self.name.clone(), file.name.clone());
        let failed = move |source| failed(&name, &file, source);
        Ok(got.into_stream().map_err(failed).boxed())
    }

    fn failed(&self, file: &str, source: ObjectStoreError) -> LakeError {
        failed(&self.name, file, source)
    }
}

fn failed(root: &str, file: &str, source: ObjectStoreError) -> LakeError {
    LakeError::Object { path: format!("{root}/{file}"), source: Box::new(source) }
}
