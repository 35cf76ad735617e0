//! Checkpoints: the whole state of a version in one file, from which a table is opened without the
//! commits before (Delta protocol, "Checkpoints").

use std::collections::BTreeMap;

use deltalake::DeltaTableError;
use deltalake::checkpoints::create_checkpoint;
use deltalake::logstore::object_store::ObjectStoreExt;
use deltalake::logstore::object_store::path::Path;

use crate::lake::error::LakeError;
use crate::lake::log_files::LOG_FOLDER;
use crate::lake::store::Lake;
use crate::lake::table::Table;

impl Table {
    /// Commits since the newest checkpoint.
    pub async fn commits_since_checkpoint(&self) -> Result<u64, LakeError> {
        let newest = self.log_files().await?.checkpoint();
        Ok(newest.map_or(self.version() + 1, |newest| self.version().saturating_sub(newest)))
    }

    /// Writes a checkpoint of this version, and opens the table with it: what is read then must be
    /// what was known before, or the checkpoint is taken away again.
    pub async fn checkpoint(&self, lake: &Lake, folder: &str) -> Result<(), LakeError> {
        create_checkpoint(&self.delta, None).await.map_err(LakeError::table(&self.name))?;
        let read = lake.table_at(folder, &self.name, self.version()).await?;
        if self.is_same(&read)? {
            return Ok(());
        }
        // The hint first: a reader that follows it must find a checkpoint.
        let store = self.delta.object_store();
        for name in
            ["_last_checkpoint".to_owned(), format!("{:020}.checkpoint.parquet", self.version())]
        {
            let removed = store.delete(&Path::from(format!("{LOG_FOLDER}/{name}"))).await;
            removed.map_err(|error| LakeError::table(&self.name)(error.into()))?;
        }
        let what = format!("the checkpoint of version {} does not read back", self.version());
        Err(LakeError::table(&self.name)(DeltaTableError::Generic(what)))
    }

    /// Whether two ways to read a version give the same columns, settings and files.
    fn is_same(&self, other: &Self) -> Result<bool, LakeError> {
        let parts = |table: &Self| {
            let state = table.delta.snapshot().map_err(LakeError::table(&table.name))?;
            let live = state.log_data();
            let files =
                live.iter().map(|file| (file.path().into_owned(), (file.size(), file.stats())));
            let files: BTreeMap<_, _> = files.collect();
            let configuration = state.metadata().configuration().clone();
            Ok::<_, LakeError>((state.version(), table.schema()?, configuration, files))
        };
        Ok(parts(self)? == parts(other)?)
    }
}
