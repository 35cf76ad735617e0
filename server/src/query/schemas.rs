//! The catalog that a statement is planned against: the tables of the asker's sight, each at one
//! version, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use deltalake::datafusion::catalog::{
    CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider,
};
use deltalake::datafusion::common::{DataFusionError, Result};
use deltalake::datafusion::execution::SessionState;

use super::catalog::Catalog;
use super::consenting::Consenting;
use super::error::QueryError;
use super::time_travel::Moment;
use super::visible::Visible;
use crate::ledger::{DenyList, Seen};
use crate::pipeline::{Declared, Sight, Zone};

/// The name of the only catalog.
pub const CATALOG: &str = "stedi";
/// The schema in which a bare table name is looked up: every zone but `system`.
pub const LAKE_SCHEMA: &str = "lake";

/// The tables of one statement.
#[derive(Debug)]
pub(super) struct StatementTables {
    catalog: Catalog,
    sight: Sight,
    declared: Vec<Declared>,
    /// Under which names the statement asks for tables at a moment.
    moments: BTreeMap<String, (String, Moment)>,
    /// What reads each table: made once, so that the statement sees one version of it.
    read: tokio::sync::Mutex<BTreeMap<String, Arc<dyn TableProvider>>>,
    versions: Mutex<BTreeMap<String, BTreeSet<u64>>>,
    /// Whose rows no read returns.
    list: Arc<DenyList>,
    session: Arc<SessionState>,
}

impl StatementTables {
    pub fn new(
        catalog: Catalog,
        sight: Sight,
        moments: BTreeMap<String, (String, Moment)>,
        list: Arc<DenyList>,
        session: Arc<SessionState>,
    ) -> Arc<Self> {
        let declared = catalog.declared(&sight);
        let (read, versions) = Default::default();
        Arc::new(Self { catalog, sight, declared, moments, read, versions, list, session })
    }

    /// The versions that were read so far, by table.
    pub fn versions(&self) -> BTreeMap<String, BTreeSet<u64>> {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The versions of tables that hold rows of somebody, of those that were read so far.
    pub fn personal(&self) -> Vec<Seen> {
        let versions = self.versions().into_iter();
        let versions = versions
            .flat_map(|(table, all)| all.into_iter().map(move |version| (table.clone(), version)));
        versions.filter_map(|(table, version)| seen(&self.declared, &table, version)).collect()
    }

    /// The marks of what is hidden in them.
    pub fn marks(&self) -> Vec<(String, u64, String)> {
        if self.list.is_empty() {
            return Vec::new();
        }
        let mark = |seen: Seen| {
            let hidden = self.list.hidden(&seen)?;
            Some((seen.table, seen.version, hidden.mark))
        };
        self.personal().into_iter().filter_map(mark).collect()
    }

    /// What a name means in a schema.
    fn find(&self, schema: &str, name: &str) -> Option<&Declared> {
        let table = self.moments.get(name).map_or(name, |(table, _)| table.as_str());
        self.declared.iter().find(|declared| {
            declared.name == table
                && match schema {
                    LAKE_SCHEMA => declared.zone != Zone::System,
                    zone => declared.zone.name() == zone,
                }
        })
    }

    /// Opens a table at the version that the statement sees.
    pub async fn open(
        &self,
        schema: &str,
        name: &str,
    ) -> Result<Option<Arc<dyn TableProvider>>, QueryError> {
        let Some(declared) = self.find(schema, name) else { return Ok(None) };
        let moment = self.moments.get(name).map(|(_, moment)| *moment);
        let mut read = self.read.lock().await;
        let key = format!("{}.{name}", declared.zone.name());
        if let Some(provider) = read.get(&key) {
            return Ok(Some(Arc::clone(provider)));
        }
        let lake = self.catalog.lake();
        let folder = declared.zone.name();
        let Some(newest) = lake.newest(folder, &declared.name).await? else { return Ok(None) };
        let table = match moment {
            None => newest,
            Some(moment) => moment.of(lake, folder, &newest).await?,
        };
        let mut whole = table.provider(&self.session).await?;
        let seen_as = seen(std::slice::from_ref(declared), &declared.name, table.version());
        if let Some(hidden) = seen_as.and_then(|seen| self.list.hidden(&seen)) {
            whole = Consenting::of(whole, &declared.belongs, hidden)
                .map_err(|error| QueryError::Engine(Box::new(error)))?;
        }
        let seen = |column: &str| {
            let column = declared.columns.iter().find(|declared| declared.name == column);
            match column {
                Some(column) => self.sight.column(declared.zone, column),
                // A column that the pipeline does not declare any more has no class.
                None => self.sight == Sight::All,
            }
        };
        let provider =
            Visible::of(whole, seen).map_err(|error| QueryError::Engine(Box::new(error)))?;
        self.versions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(declared.name.clone())
            .or_default()
            .insert(table.version());
        read.insert(key, Arc::clone(&provider));
        Ok(Some(provider))
    }
}

/// A version of one of these tables, if it holds rows of somebody.
pub(super) fn seen(declared: &[Declared], table: &str, version: u64) -> Option<Seen> {
    let declared = declared.iter().find(|declared| declared.name == table)?;
    let personal = !declared.belongs.is_none();
    let received = declared.belongs.received;
    personal.then(|| Seen { table: table.to_owned(), version, received })
}

/// The list of the one catalog.
#[derive(Debug)]
pub(super) struct Catalogs(pub Arc<StatementTables>);

impl CatalogProviderList for Catalogs {
    fn register_catalog(
        &self,
        _: String,
        _: Arc<dyn CatalogProvider>,
    ) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![CATALOG.to_owned()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == CATALOG).then(|| Arc::new(Schemas(Arc::clone(&self.0))) as _)
    }
}

/// A schema for each zone, and one for bare names.
#[derive(Debug)]
struct Schemas(Arc<StatementTables>);

impl CatalogProvider for Schemas {
    fn schema_names(&self) -> Vec<String> {
        let zones: BTreeSet<&str> =
            self.0.declared.iter().map(|declared| declared.zone.name()).collect();
        zones.into_iter().map(str::to_owned).collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let known = name == LAKE_SCHEMA || self.schema_names().iter().any(|zone| zone == name);
        known.then(|| Arc::new(Tables { all: Arc::clone(&self.0), schema: name.to_owned() }) as _)
    }
}

#[derive(Debug)]
struct Tables {
    all: Arc<StatementTables>,
    schema: String,
}

#[async_trait]
impl SchemaProvider for Tables {
    /// Each table once, in the schema of its zone.
    fn table_names(&self) -> Vec<String> {
        let zone = |declared: &&Declared| declared.zone.name() == self.schema;
        self.all.declared.iter().filter(zone).map(|declared| declared.name.clone()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        self.all
            .open(&self.schema, name)
            .await
            .map_err(|error| DataFusionError::External(Box::new(error)))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.all.find(&self.schema, name).is_some()
    }
}
