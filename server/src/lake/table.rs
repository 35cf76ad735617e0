//! A Delta table at one version.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use deltalake::arrow::datatypes::{Schema, SchemaRef};
use deltalake::datafusion::catalog::TableProvider;
use deltalake::datafusion::execution::SessionState;
use deltalake::datafusion::prelude::SessionContext;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake::kernel::transaction::CommitProperties;
use deltalake::kernel::{Metadata, MetadataExt, StructField, StructType};
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::SaveMode;
use deltalake::{DeltaTable, DeltaTableBuilder, DeltaTableError};
use tokio::sync::OnceCell;

use super::error::LakeError;
use super::store::Lake;
use super::versions::CommitTime;
use super::write::REWRITTEN_FOLDER;

/// The table property that names the columns with statistics.
const INDEXED: &str = "delta.dataSkippingStatsColumns";

/// The columns of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Columns {
    /// Names and types, in stored order.
    pub schema: SchemaRef,
    /// Columns of which no minimum and maximum is kept, neither in the log nor in data files:
    /// they would show personal data to whoever reads metadata.
    pub without_statistics: BTreeSet<String>,
    /// How long the log keeps a `txn` action after it was last committed; `None` for ever. It holds
    /// for a table from when it is made.
    pub txn_retention: Option<Duration>,
}

/// How long `txn` actions stay (Delta protocol, "Transaction Identifiers").
const TXN_RETENTION: &str = "delta.setTransactionRetentionDuration";

impl Columns {
    fn configuration(&self) -> Vec<(String, Option<String>)> {
        let indexed: Vec<&str> = self
            .schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .filter(|name| !self.without_statistics.contains(*name))
            .collect();
        [
            ("delta.enableChangeDataFeed", "true".to_owned()),
            (INDEXED, indexed.join(",")),
            // Both are maintenance's to do, one table at a time.
            ("delta.enableExpiredLogCleanup", "false".to_owned()),
        ]
        .map(|(key, value)| (key.to_owned(), Some(value)))
        .to_vec()
    }

    fn at_creation(&self) -> Vec<(String, Option<String>)> {
        let retention = self.txn_retention.map(|time| {
            (TXN_RETENTION.to_owned(), Some(format!("interval {} seconds", time.as_secs())))
        });
        self.configuration().into_iter().chain(retention).collect()
    }
}

/// What a version of a table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableStats {
    /// Rows.
    pub rows: u64,
    /// Data files.
    pub files: u64,
    /// Bytes of the data files.
    pub bytes: u64,
}

/// A table as it was when it was opened; clones are cheap.
#[derive(Clone)]
pub struct Table {
    pub(super) name: String,
    pub(super) delta: DeltaTable,
    /// The folder into which its files are written; its own if there is none.
    pub(super) into: Option<&'static str>,
    /// What reads this version, made when it is first asked for.
    reader: Arc<OnceCell<Arc<dyn TableProvider>>>,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({} version {})", self.name, self.version())
    }
}

impl Lake {
    /// Opens the newest version of `folder/name`; `None` if there is no such table.
    pub async fn table(&self, folder: &str, name: &str) -> Result<Option<Table>, LakeError> {
        let failed = LakeError::table(name);
        let mut delta = self.unloaded(folder, name)?;
        let asked = Instant::now();
        if !delta.verify_deltatable_existence().await.map_err(failed)? {
            return Ok(None);
        }
        delta.load().await.map_err(failed)?;
        let table = Table::new(name, delta);
        self.cache.offer(&format!("{folder}/{name}"), &table, asked);
        Ok(Some(table))
    }

    /// Opens the newest version of `folder/name`, creating the table first if there is none.
    ///
    /// A table that is there is taken as it is; [`Table::stores`] tells whether its columns are these.
    pub async fn table_or_create(
        &self,
        folder: &str,
        name: &str,
        columns: &Columns,
    ) -> Result<Table, LakeError> {
        if let Some(table) = self.table(folder, name).await? {
            return Ok(table);
        }
        let failed = LakeError::table(name);
        if let Some(root) = self.location.local() {
            // delta-rs does not make the folder of a new table.
            std::fs::create_dir_all(root.join(folder).join(name))
                .map_err(|error| failed(error.into()))?;
        }
        let fields: Vec<StructField> =
            kernel_schema(&columns.schema).map_err(failed)?.fields().cloned().collect();
        let created = CreateBuilder::new()
            .with_log_store(self.unloaded(folder, name)?.log_store())
            .with_table_name(name)
            .with_columns(fields)
            .with_configuration(columns.at_creation())
            .with_save_mode(SaveMode::ErrorIfExists)
            .with_commit_properties(
                CommitProperties::default()
                    .with_max_retries(0)
                    .with_create_checkpoint(false)
                    .with_cleanup_expired_logs(Some(false)),
            )
            .await;
        match created {
            Ok(delta) => Ok(Table::new(name, delta)),
            // Somebody else may have created it meanwhile.
            Err(error) => self.table(folder, name).await?.ok_or_else(|| failed(error)),
        }
    }

    /// Opens a version of `folder/name` from the store, with nothing of what is known of it.
    pub(super) async fn table_at(
        &self,
        folder: &str,
        name: &str,
        version: u64,
    ) -> Result<Table, LakeError> {
        let mut delta = self.unloaded(folder, name)?;
        delta.load_version(version).await.map_err(LakeError::table(name))?;
        Ok(Table::new(name, delta))
    }

    fn unloaded(&self, folder: &str, name: &str) -> Result<DeltaTable, LakeError> {
        let url = self.location.folder(&format!("{folder}/{name}"))?;
        DeltaTableBuilder::from_url(url.clone())
            .and_then(|builder| builder.with_storage_backend(Arc::clone(&self.store), url).build())
            .map_err(LakeError::table(name))
    }
}

impl Table {
    pub(super) fn new(name: &str, delta: DeltaTable) -> Self {
        Self { name: name.to_owned(), delta, into: None, reader: Arc::default() }
    }

    /// The newest version now: reads what was committed since this one.
    pub(super) async fn refreshed(&self) -> Result<Self, LakeError> {
        let mut delta = self.delta.clone();
        delta.update_incremental(None).await.map_err(LakeError::table(&self.name))?;
        Ok(Self::new(&self.name, delta))
    }

    /// This table at an older version.
    pub(super) async fn at(&self, version: u64) -> Result<Self, LakeError> {
        let mut delta = self.delta.clone();
        delta.load_version(version).await.map_err(LakeError::table(&self.name))?;
        Ok(Self::new(&self.name, delta))
    }

    /// The same version, whose new files get a folder of their own, so that they can be told from those
    /// of loads while they are in no commit.
    pub fn apart(&self) -> Self {
        Self { into: Some(REWRITTEN_FOLDER), ..self.clone() }
    }

    /// The table's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The Delta version that this is.
    pub fn version(&self) -> u64 {
        self.delta.version().unwrap_or_default()
    }

    /// The columns, as this version stores them. Those that the log does not name as having
    /// statistics have none.
    pub(super) fn columns(&self) -> Result<Columns, LakeError> {
        let state = self.delta.snapshot().map_err(LakeError::table(&self.name))?;
        let indexed = state.metadata().configuration().get(INDEXED);
        let indexed: BTreeSet<&str> =
            indexed.map(|text| text.split(',').collect()).unwrap_or_default();
        let schema = self.schema()?;
        let names = schema.fields().iter().map(|field| field.name());
        let without = names.filter(|name| !indexed.contains(name.as_str()));
        let (without_statistics, txn_retention) =
            (without.cloned().collect(), self.txn_retention()?);
        Ok(Columns { without_statistics, txn_retention, schema })
    }

    /// Columns and types.
    pub fn schema(&self) -> Result<SchemaRef, LakeError> {
        let state = self.delta.snapshot().map_err(LakeError::table(&self.name))?;
        Ok(state.snapshot().arrow_schema())
    }

    /// Whether the table stores these columns in this order.
    pub fn stores(&self, columns: &Columns) -> Result<bool, LakeError> {
        let shape = |schema: &Schema| {
            let fields = schema.fields().iter();
            fields
                .map(|field| (field.name().clone(), field.data_type().clone()))
                .collect::<Vec<_>>()
        };
        Ok(shape(self.schema()?.as_ref()) == shape(columns.schema.as_ref()))
    }

    /// What makes the table have these columns and settings, if it does not have them yet.
    pub(super) fn metadata_for(
        &self,
        columns: Option<&Columns>,
    ) -> Result<Option<Metadata>, DeltaTableError> {
        let Some(columns) = columns else { return Ok(None) };
        let state = self.delta.snapshot()?;
        let mut metadata = state.metadata().clone();
        let mut changed = false;
        if !self.stores(columns).is_ok_and(|stores| stores) {
            metadata = metadata.with_schema(&kernel_schema(&columns.schema)?)?;
            changed = true;
        }
        for (key, value) in columns.configuration() {
            let Some(value) = value else { continue };
            if metadata.configuration().get(&key) != Some(&value) {
                metadata = metadata.add_config_key(key, value)?;
                changed = true;
            }
        }
        Ok(changed.then_some(metadata))
    }

    /// How long the log keeps a `txn` action after it was last committed; `None` for ever.
    pub fn txn_retention(&self) -> Result<Option<Duration>, LakeError> {
        let state = self.delta.snapshot().map_err(LakeError::table(&self.name))?;
        let properties = state.snapshot().table_properties();
        Ok(properties.set_transaction_retention_duration)
    }

    pub(super) fn txn_expires(&self) -> bool {
        self.txn_retention().is_ok_and(|time| time.is_some())
    }

    /// Rows, files and bytes, counted from the log.
    pub fn stats(&self) -> Result<TableStats, LakeError> {
        let state = self.delta.snapshot().map_err(LakeError::table(&self.name))?;
        let mut stats = TableStats { rows: 0, files: 0, bytes: 0 };
        for file in state.log_data().iter() {
            stats.rows += file.num_records().unwrap_or_default() as u64;
            stats.files += 1;
            stats.bytes += u64::try_from(file.size()).unwrap_or_default();
        }
        Ok(stats)
    }

    /// The version that the `txn` actions of the log hold for an application id (Delta protocol,
    /// "Transaction Identifiers").
    pub async fn txn(&self, app_id: &str) -> Result<Option<i64>, LakeError> {
        let failed = LakeError::table(&self.name);
        match txn(&self.delta, app_id).await {
            Ok(version) => Ok(version),
            // Commits that it was opened with may have been removed behind a checkpoint since then.
            Err(error) => {
                let mut delta = self.delta.clone();
                delta.state = None;
                match delta.load_version(self.version()).await {
                    Ok(()) => txn(&delta, app_id).await.map_err(failed),
                    Err(_) => Err(failed(error)),
                }
            }
        }
    }

    /// The versions that the `txn` actions of the log hold for application ids. One commit has
    /// them all where they are always committed together, so the newest is looked at first.
    pub async fn txns(&self, app_ids: &[&str]) -> Result<Vec<Option<i64>>, LakeError> {
        let newest = CommitTime { version: self.version(), millis: 0 };
        let newest = self.history(&[newest]).await?;
        let mut versions = Vec::with_capacity(app_ids.len());
        for app_id in app_ids {
            let known = newest.first().and_then(|commit| commit.txns.get(*app_id).copied());
            versions.push(match known {
                Some(version) => Some(version),
                None => self.txn(app_id).await?,
            });
        }
        Ok(versions)
    }

    /// What reads this version in plans.
    pub async fn provider(
        &self,
        session: &SessionState,
    ) -> Result<Arc<dyn TableProvider>, LakeError> {
        self.delta.update_datafusion_session(session).map_err(LakeError::table(&self.name))?;
        let made = self.reader.get_or_try_init(async || {
            self.delta.table_provider().with_session(Arc::new(session.clone())).await
        });
        made.await.cloned().map_err(LakeError::plan(&self.name))
    }

    /// Makes this version readable in a session under a name.
    pub async fn register(&self, session: &SessionContext, name: &str) -> Result<(), LakeError> {
        let provider = self.provider(&session.state()).await?;
        session.register_table(name, provider).map_err(LakeError::plan(&self.name))?;
        Ok(())
    }
}

async fn txn(delta: &DeltaTable, app_id: &str) -> Result<Option<i64>, DeltaTableError> {
    delta.snapshot()?.transaction_version(delta.log_store().as_ref(), app_id).await
}

fn kernel_schema(schema: &SchemaRef) -> Result<StructType, DeltaTableError> {
    Ok(schema.as_ref().try_into_kernel()?)
}
