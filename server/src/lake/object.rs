//! Small objects beside the tables.

use deltalake::ObjectStoreError as StoreError;
use deltalake::logstore::object_store::path::Path;
use deltalake::logstore::object_store::{
    ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
};

use super::error::LakeError;
use super::store::Lake;

impl Lake {
    /// Reads an object; `None` if there is none.
    pub async fn read_object(&self, path: &str) -> Result<Option<Vec<u8>>, LakeError> {
        let read = async { self.store.get(&self.object(path)).await?.bytes().await };
        match read.await {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(path, error)),
        }
    }

    /// Creates an object; false if it is there already, which leaves it as it is.
    pub async fn create_object(&self, path: &str, bytes: Vec<u8>) -> Result<bool, LakeError> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.store.put_opts(&self.object(path), PutPayload::from(bytes), options).await {
            Ok(_) => Ok(true),
            Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => Ok(false),
            Err(error) => Err(failed(path, error)),
        }
    }

    /// Writes an object, in the place of one that is there.
    pub async fn put_object(&self, path: &str, bytes: Vec<u8>) -> Result<(), LakeError> {
        let put = self.store.put(&self.object(path), PutPayload::from(bytes)).await;
        put.map(|_| ()).map_err(|error| failed(path, error))
    }

    /// Removes an object; one that is not there is removed.
    pub async fn remove_object(&self, path: &str) -> Result<(), LakeError> {
        match self.store.delete(&self.object(path)).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(path, error)),
        }
    }

    /// The names of the objects directly under a folder.
    pub async fn list_objects(&self, folder: &str) -> Result<Vec<String>, LakeError> {
        let listed = self.store.list_with_delimiter(Some(&self.object(folder))).await;
        let listed = listed.map_err(|error| failed(folder, error))?;
        let names = listed.objects.iter().filter_map(|object| object.location.filename());
        Ok(names.map(str::to_owned).collect())
    }

    /// The names of the objects directly under a folder that were written last before a moment, in
    /// epoch milliseconds by the store's clock.
    pub async fn list_objects_before(
        &self,
        folder: &str,
        before: i64,
    ) -> Result<Vec<String>, LakeError> {
        let listed = self.store.list_with_delimiter(Some(&self.object(folder))).await;
        let listed = listed.map_err(|error| failed(folder, error))?;
        let old = listed
            .objects
            .iter()
            .filter(|object| object.last_modified.timestamp_millis() < before)
            .filter_map(|object| object.location.filename());
        Ok(old.map(str::to_owned).collect())
    }

    /// The names of the folders directly under a folder.
    pub async fn list_folders(&self, folder: &str) -> Result<Vec<String>, LakeError> {
        let listed = self.store.list_with_delimiter(Some(&self.object(folder))).await;
        let listed = listed.map_err(|error| failed(folder, error))?;
        let names = listed.common_prefixes.iter().filter_map(|prefix| prefix.filename());
        Ok(names.map(str::to_owned).collect())
    }

    /// Removes every object directly under a folder, the one with the given name last: as long as
    /// it is there, the rest is somebody's.
    pub async fn remove_folder(&self, folder: &str, last: &str) -> Result<(), LakeError> {
        let mut names = self.list_objects(folder).await?;
        names.sort_by_key(|name| name == last);
        for name in names {
            self.remove_object(&format!("{folder}/{name}")).await?;
        }
        // A local store keeps empty folders.
        if let Some(root) = self.location.local() {
            let _ = std::fs::remove_dir(root.join(folder));
        }
        Ok(())
    }

    pub(super) fn object(&self, path: &str) -> Path {
        path.split('/').fold(self.root.clone(), |parent, part| parent.join(part))
    }
}

fn failed(path: &str, source: StoreError) -> LakeError {
    LakeError::Object { path: path.to_owned(), source: Box::new(source) }
}
