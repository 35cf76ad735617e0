//! The tables that are there for somebody: what a role may not see does not exist for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::QueryError;
use super::time_travel::Moment;
use crate::auth::{Principal, Role};
use crate::lake::{Lake, Table};
use crate::pipeline::{Column, Declared, Pipeline, Sight, Zone};

/// The tables of a lake's pipeline, and the service's own.
#[derive(Clone, Debug)]
pub struct Catalog {
    lake: Lake,
    pipeline: Arc<Pipeline>,
    system: Arc<Vec<Declared>>,
}

/// A table as somebody sees it.
#[derive(Clone, Debug)]
pub struct SeenTable {
    /// Its zone.
    pub zone: Zone,
    /// What its rows are.
    pub description: Option<String>,
    /// The columns that are there for them.
    pub columns: Vec<Column>,
    /// For a derived table the version of each source that it was last made from; no source where
    /// it was not promoted yet. Sources that are not there for somebody are left out.
    pub sources: BTreeMap<String, u64>,
    /// The table itself, at its newest version.
    pub table: Table,
}

impl Catalog {
    /// The catalog of a lake's pipeline, with tables of the zone `system`.
    pub fn new(lake: Lake, pipeline: Arc<Pipeline>, system: Vec<Declared>) -> Self {
        Self { lake, pipeline, system: Arc::new(system) }
    }

    /// Everything that is there for somebody.
    pub async fn tables(&self, principal: &Principal) -> Result<Vec<SeenTable>, QueryError> {
        let sight = self.sight(principal);
        let mut seen = Vec::new();
        for declared in self.declared(&sight) {
            if let Some(table) = self.see(declared, &sight).await? {
                seen.push(table);
            }
        }
        Ok(seen)
    }

    /// One table.
    ///
    /// # Errors
    /// [`QueryError::UnknownTable`], the same for a table that is not there and for one that is
    /// not there for this principal.
    pub async fn table(&self, principal: &Principal, name: &str) -> Result<SeenTable, QueryError> {
        let unknown = || QueryError::UnknownTable(name.to_owned());
        let sight = self.sight(principal);
        let declared = self.declared(&sight).into_iter().find(|table| table.name == name);
        self.see(declared.ok_or_else(unknown)?, &sight).await?.ok_or_else(unknown)
    }

    /// One table at a moment.
    ///
    /// # Errors
    /// What [`Catalog::table`] says; [`QueryError::NoSuchVersion`] and [`QueryError::Purged`] for a
    /// moment that it does not have, or not any more.
    pub async fn table_at(
        &self,
        principal: &Principal,
        name: &str,
        moment: Moment,
    ) -> Result<SeenTable, QueryError> {
        let seen = self.table(principal, name).await?;
        let table = moment.of(&self.lake, seen.zone.name(), &seen.table).await?;
        Ok(SeenTable { table, ..seen })
    }

    /// What somebody reads.
    pub fn sight(&self, principal: &Principal) -> Sight {
        if principal.roles.contains(&Role::Admin) {
            return Sight::All;
        }
        let has = |name: &str| principal.roles.iter().any(|role| role.name() == name);
        let grants = self.pipeline.grants.iter().filter(|grant| has(&grant.role));
        Sight::Granted(grants.cloned().collect())
    }

    /// The tables of the zones that are there for somebody.
    pub(super) fn declared(&self, sight: &Sight) -> Vec<Declared> {
        let all = self.pipeline.tables().into_iter().chain(self.system.iter().cloned());
        all.filter(|declared| sight.zone(declared.zone)).collect()
    }

    pub(super) fn lake(&self) -> &Lake {
        &self.lake
    }

    async fn see(
        &self,
        declared: Declared,
        sight: &Sight,
    ) -> Result<Option<SeenTable>, QueryError> {
        let zone = declared.zone;
        let Some(table) = self.lake.newest(zone.name(), &declared.name).await? else {
            return Ok(None);
        };
        let mut sources = BTreeMap::new();
        for source in declared.sources {
            let seen = self.pipeline.zone(&source).is_some_and(|zone| sight.zone(zone));
            if let Some(version) = table.txn(&source).await?.filter(|_| seen) {
                sources.insert(source, version.unsigned_abs());
            }
        }
        let columns = declared.columns.into_iter().filter(|column| sight.column(zone, column));
        let description = declared.description;
        let columns = columns.collect();
        Ok(Some(SeenTable { zone, description, columns, sources, table }))
    }
}
