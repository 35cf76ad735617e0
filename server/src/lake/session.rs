//! The sessions that plans run in: bounded memory, spill to disk, lower-case names.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use deltalake::datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList,
    MemorySchemaProvider,
};
use deltalake::datafusion::common::ScalarValue;
use deltalake::datafusion::common::config::Dialect;
use deltalake::datafusion::common::metadata::ScalarAndMetadata;
use deltalake::datafusion::common::{ParamValues, Result};
use deltalake::datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use deltalake::datafusion::execution::memory_pool::FairSpillPool;
use deltalake::datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use deltalake::datafusion::execution::{SessionState, SessionStateBuilder};
use deltalake::datafusion::logical_expr::LogicalPlan;
use deltalake::datafusion::physical_optimizer::PhysicalOptimizerRule;
use deltalake::datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use deltalake::datafusion::prelude::{SessionConfig, SessionContext};
use deltalake::delta_datafusion::planner::DeltaPlanner;
use deltalake::logstore::ObjectStoreRef;

use super::give_way::GiveWay;
use super::read_once::ReadOnce;
use super::scratch::Scratch;
use super::share::SharePool;
use super::sortable::sortable;
use crate::metrics::Usage;

/// What plans may use.
#[derive(Clone, Debug)]
pub struct SessionLimits {
    /// Bytes of memory for all plans together.
    pub memory: usize,
    /// Where plans spill what does not fit, each process in a folder of its own.
    pub spill_dir: PathBuf,
    /// Bytes that may be spilled at one time.
    pub spill: u64,
    /// Partitions that a plan runs in at the same time.
    pub partitions: usize,
    /// How old what is known of a table may be when it is read.
    pub staleness: Duration,
}

/// Makes sessions that share one memory pool and one spill folder.
#[derive(Clone, Debug)]
pub struct Sessions {
    runtime: Arc<RuntimeEnv>,
    /// What every session begins as: to register all functions costs more than a small plan.
    template: Arc<SessionState>,
    memory: usize,
    spill: u64,
    scratch: Arc<Scratch>,
}

impl Sessions {
    /// Sets the shared limits up, and the spill folder.
    pub fn new(limits: &SessionLimits) -> Result<Self> {
        let scratch = Arc::new(Scratch::open(&limits.spill_dir)?);
        let disk = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::Directories(vec![scratch.folder().to_owned()]))
            .with_max_temp_directory_size(limits.spill);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(limits.memory)))
            .with_disk_manager_builder(disk)
            .build_arc()?;
        let SessionLimits { memory, spill, partitions, .. } = *limits;
        let mut template = SessionStateBuilder::new()
            .with_default_features()
            .with_config(config(partitions))
            .with_runtime_env(Arc::clone(&runtime))
            .with_query_planner(DeltaPlanner::new())
            .with_physical_optimizer_rules(rules())
            .build();
        sortable(&mut template)?;
        Ok(Self { runtime, template: Arc::new(template), memory, spill, scratch })
    }

    /// The folder for what does not fit into memory.
    pub(super) fn spill_dir(&self) -> &std::path::Path {
        self.scratch.folder()
    }

    /// Makes a store readable by plans under a URL.
    pub(super) fn register_store(&self, url: &'static str, store: &ObjectStoreRef) {
        if let Ok(url) = url::Url::parse(url) {
            self.runtime.register_object_store(&url, Arc::clone(store));
        }
    }

    /// What all plans use at the moment.
    pub fn usage(&self) -> Usage {
        Usage {
            memory: self.runtime.memory_pool.reserved(),
            memory_limit: self.memory,
            spill: self.runtime.disk_manager.used_disk_space(),
            spill_limit: self.spill,
        }
    }

    /// The same, whose plans keep the partitions of what they read.
    pub fn in_pieces(&self) -> SessionContext {
        let session = self.session();
        let mut state = session.state();
        let config = state.config().clone();
        *state.config_mut() = config.with_target_partitions(1).with_repartition_file_scans(false);
        SessionContext::new_with_state(state)
    }

    /// A session without tables.
    pub fn session(&self) -> SessionContext {
        let mut state = self.template.as_ref().clone();
        // The only thing in it that copies would share.
        let names = &state.config_options().catalog;
        let (catalog, schema) = (names.default_catalog.clone(), names.default_schema.clone());
        let (tables, schemas) = (MemorySchemaProvider::new(), MemoryCatalogProvider::new());
        let catalogs = MemoryCatalogProviderList::new();
        // A catalog in memory takes every schema.
        let _ = schemas.register_schema(&schema, Arc::new(tables));
        catalogs.register_catalog(catalog, Arc::new(schemas));
        state.register_catalog_list(Arc::new(catalogs));
        SessionContext::new_with_state(state)
    }

    /// The runtime of one statement: a share of the memory, everything else that of all.
    pub fn share(&self, memory: usize) -> Result<Arc<RuntimeEnv>> {
        let share = Arc::new(SharePool::new(memory, &self.runtime.memory_pool));
        RuntimeEnvBuilder::from_runtime_env(&self.runtime).with_memory_pool(share).build_arc()
    }

    /// Bytes of memory that plans hold at this moment.
    pub fn memory_reserved(&self) -> usize {
        self.runtime.memory_pool.reserved()
    }

    /// Bytes that plans have spilled at this moment.
    pub fn spilled(&self) -> u64 {
        self.runtime.disk_manager.used_disk_space()
    }
}

/// A session that plans and runs nothing.
pub fn planning() -> SessionContext {
    SessionContext::new_with_config(config(1))
}

/// The SQL dialect of pipelines and statements.
pub fn dialect() -> Dialect {
    Dialect::Generic
}

/// Puts the values of options in the place of `$option`.
pub fn bind(plan: LogicalPlan, options: &BTreeMap<String, String>) -> Result<LogicalPlan> {
    let values: HashMap<String, ScalarAndMetadata> = options
        .iter()
        .map(|(name, value)| (name.clone(), ScalarValue::from(value.as_str()).into()))
        .collect();
    plan.replace_params_with_values(&ParamValues::Map(values))
}

/// The rules that improve plans, without the one that pushes limits down: delta-rs' scan of no
/// columns (`DeltaScanMetaExec`) lets a limit be pushed into it and forgets it, so that
/// `SELECT 1 FROM t LIMIT 1` gave every row. Scans hear of limits from the logical plan anyway.
fn rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let rules = PhysicalOptimizer::new().rules.into_iter();
    let rules = rules.filter(|rule| rule.name() != "LimitPushdown");
    // The last ones: no other rule looks through what they add.
    rules.chain([Arc::new(ReadOnce) as _, Arc::new(GiveWay) as _]).collect()
}

fn config(partitions: usize) -> SessionConfig {
    SessionConfig::new()
        .with_target_partitions(partitions)
        .with_information_schema(false)
        // Files and tables are written as plain strings; views would be converted at every write.
        .set_bool("datafusion.execution.parquet.schema_force_view_types", false)
        .set_bool("datafusion.execution.parquet.pushdown_filters", true)
        // As delta-rs sets them: pushing IN lists of dictionary keys down has panicked.
        .set_usize("datafusion.optimizer.hash_join_inlist_pushdown_max_size", 0)
        .set_usize("datafusion.optimizer.hash_join_inlist_pushdown_max_distinct_values", 0)
}
