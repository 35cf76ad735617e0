//! What is shared with somebody.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::error::SharingError;
use super::projected::Projected;
use super::ticket::Signer;
use crate::auth::Principal;
use crate::lake::{Lake, Table};
use crate::ledger::{Deny, Seen, SubjectKey};
use crate::pipeline::{Belongs, Class, Column, Pipeline, Zone};
use crate::query::{Catalog, Moment, QueryError, SeenTable};

/// The zones that are shared.
const ZONES: [Zone; 2] = [Zone::Trusted, Zone::Curated];

/// How tables are shared.
#[derive(Clone, Debug)]
pub struct SharingRules {
    /// How long the URL of a file holds.
    pub holds: Duration,
    /// Where clients reach the server, if that is known.
    pub url: Option<String>,
    /// How it is reached otherwise: `http` or `https`.
    pub scheme: &'static str,
    /// How long URLs of the store hold that are given instead of the bytes; zero: none are.
    pub redirect: Duration,
}

/// The tables of a lake as they are shared.
#[derive(Clone, Debug)]
pub struct Sharing(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub lake: Lake,
    pub pipeline: Arc<Pipeline>,
    pub catalog: Catalog,
    pub deny: Deny,
    pub signer: Signer,
    pub rules: SharingRules,
    pub projected: Projected,
}

/// A version of a table as it is shared with somebody.
#[derive(Clone, Debug)]
pub struct SharedTable {
    /// Its zone.
    pub zone: Zone,
    /// What its rows are.
    pub description: Option<String>,
    /// The table itself.
    pub table: Table,
    /// The columns that are given.
    pub keep: BTreeSet<String>,
    /// Whether its files have no other columns.
    pub whole: bool,
    pub(super) belongs: Belongs,
}

impl Sharing {
    /// What of a lake's tables the catalog shows to somebody.
    pub fn new(
        lake: Lake,
        pipeline: Arc<Pipeline>,
        catalog: Catalog,
        deny: Deny,
        key: &SubjectKey,
        rules: SharingRules,
    ) -> Self {
        let (signer, projected) = (Signer::new(key), Projected::default());
        Self(Arc::new(Inner { lake, pipeline, catalog, deny, signer, rules, projected }))
    }

    /// How it is done.
    pub fn rules(&self) -> &SharingRules {
        &self.0.rules
    }

    /// The one share: the pipeline's name.
    pub fn share(&self) -> &str {
        &self.0.pipeline.name
    }

    /// The share, by its name in any case.
    ///
    /// # Errors
    /// [`SharingError::NoShare`].
    pub fn shared(&self, share: &str) -> Result<&str, SharingError> {
        match self.share().eq_ignore_ascii_case(share) {
            true => Ok(self.share()),
            false => Err(SharingError::NoShare(share.to_owned())),
        }
    }

    /// The zones that are there for somebody.
    pub fn schemas(&self, principal: &Principal) -> Vec<Zone> {
        let sight = self.0.catalog.sight(principal);
        ZONES.into_iter().filter(|zone| sight.zone(*zone)).collect()
    }

    /// One of them, by its name in any case.
    ///
    /// # Errors
    /// [`SharingError::NoSchema`].
    pub fn schema(&self, principal: &Principal, name: &str) -> Result<Zone, SharingError> {
        let mut zones = self.schemas(principal).into_iter();
        let zone = zones.find(|zone| zone.name().eq_ignore_ascii_case(name));
        zone.ok_or_else(|| SharingError::NoSchema(name.to_owned()))
    }

    /// The tables that are there for somebody, at their newest versions, by zone and name.
    ///
    /// # Errors
    /// If the lake cannot be read.
    pub async fn tables(&self, principal: &Principal) -> Result<Vec<SharedTable>, SharingError> {
        let mut tables = Vec::new();
        for zone in self.schemas(principal) {
            for name in self.names(zone) {
                match self.0.catalog.table(principal, &name).await {
                    Ok(seen) => tables.extend(self.share_of(seen)?),
                    Err(QueryError::UnknownTable(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(tables)
    }

    /// A table at a moment; its name may be in any case.
    ///
    /// # Errors
    /// [`QueryError::UnknownTable`] also for one that is not shared with them; what
    /// [`Catalog::table_at`] says.
    pub async fn table(
        &self,
        principal: &Principal,
        zone: Zone,
        name: &str,
        moment: Option<Moment>,
    ) -> Result<SharedTable, SharingError> {
        let unknown = || QueryError::UnknownTable(name.to_owned());
        let mut names = self.names(zone).into_iter();
        let known = names.find(|known| known.eq_ignore_ascii_case(name)).ok_or_else(unknown)?;
        let catalog = &self.0.catalog;
        let seen = match moment {
            None => catalog.table(principal, &known).await?,
            Some(moment) => catalog.table_at(principal, &known, moment).await?,
        };
        Ok(self.share_of(seen)?.ok_or_else(unknown)?)
    }

    /// The names of a zone's tables.
    fn names(&self, zone: Zone) -> Vec<String> {
        let tables = self.0.pipeline.tables().into_iter();
        let mut names: Vec<String> =
            tables.filter(|table| table.zone == zone).map(|table| table.name).collect();
        names.sort();
        names
    }

    /// What is given of a table; `None` if that is nothing.
    fn share_of(&self, seen: SeenTable) -> Result<Option<SharedTable>, SharingError> {
        let tables = self.0.pipeline.tables().into_iter();
        let declared = tables.into_iter().find(|table| table.name == seen.table.name());
        let Some(declared) = declared.filter(|table| ZONES.contains(&table.zone)) else {
            return Ok(None);
        };
        // Whoever fetches a file takes it elsewhere: not even an admin's has PII.
        let given = |column: &&Column| column.class != Class::Pii;
        let given: BTreeSet<&str> =
            seen.columns.iter().filter(given).map(|column| column.name.as_str()).collect();
        let stored = seen.table.schema()?;
        let stored = stored.fields().iter().map(|field| field.name().as_str());
        let (keep, hidden): (Vec<&str>, Vec<&str>) = stored.partition(|name| given.contains(name));
        let keep: BTreeSet<String> = keep.into_iter().map(str::to_owned).collect();
        Ok((!keep.is_empty()).then(|| SharedTable {
            zone: seen.zone,
            description: seen.description,
            table: seen.table,
            whole: hidden.is_empty(),
            keep,
            belongs: declared.belongs,
        }))
    }
}

impl SharedTable {
    /// What the deny list is asked about the rows of a version; `None` if they are nobody's.
    pub(super) fn seen(&self, version: u64) -> Option<Seen> {
        let (table, received) = (self.table.name().to_owned(), self.belongs.received);
        (!self.belongs.is_none()).then_some(Seen { table, version, received })
    }
}
