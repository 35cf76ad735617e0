//! Small objects beside the tables.

use deltalake::ObjectStoreError as StoreError;
use deltalake::logstore::object_store::path::Path;
use deltalake::logstore::object_store::{ObjectStoreExt, PutMode, PutOptions, PutPayload};

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

    fn object(&self, path: &str) -> Path {
        path.split('/').fold(self.root.clone(), |parent, part| parent.join(part))
    }
}

fn failed(path: &str, source: StoreError) -> LakeError {
    LakeError::Object { path: path.to_owned(), source: Box::new(source) }
}
