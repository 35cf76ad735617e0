//! Takes orders for imports.

use std::sync::Arc;

use stedi_openapi::ImportInfo;

use super::allowed::Allowed;
use super::run::{Files, Loaded, Order};
use crate::lake::Lake;
use crate::landing::{Landing, LandingError};
use crate::ledger::audit::Audit;
use crate::ledger::{Asker, Kind, LedgerError, LongWork, WorkRules};

/// How imports are kept and run.
#[derive(Clone, Debug)]
pub struct ImportRules {
    /// Where files may come from.
    pub from: Allowed,
    /// How they are kept.
    pub work: WorkRules,
}

/// The imports of a lake; clones are the same.
#[derive(Clone, Debug)]
pub struct Imports(LongWork<Files>);

impl Imports {
    /// The imports into a lake's landing tables; `loaded` is what follows each load.
    pub fn new(
        lake: Lake,
        landing: Arc<Landing>,
        audit: Audit,
        rules: ImportRules,
        loaded: Loaded,
    ) -> Self {
        let ImportRules { from, work } = rules;
        let files = Files { landing, lake: lake.clone(), audit: audit.clone(), from, loaded };
        Self(LongWork::new(&lake, files, audit, work))
    }

    /// All that imports have in common with other long work.
    pub fn work(&self) -> &LongWork<Files> {
        &self.0
    }

    /// Takes an order. With a key, the same order of the same principal is taken once.
    ///
    /// # Errors
    /// [`LandingError::UnknownTable`], [`LandingError::NotLoaded`], [`LandingError::Source`], and
    /// those of [`LongWork::ask`].
    pub async fn ask(
        &self,
        who: Asker,
        table: &str,
        source: &str,
        key: Option<&str>,
    ) -> Result<ImportInfo, LandingError> {
        let Files { landing, from, .. } = self.0.kind();
        landing.source(table)?;
        let order = Order { table: table.to_owned(), source: from.source(source)?.to_string() };
        Ok(self.0.ask(who, order, key).await?)
    }

    /// Removes the import that an object of the lake is a part of, if it has ended; false if it is no
    /// such object. What was loaded stays loaded, and is not loaded again.
    ///
    /// # Errors
    /// If the lake cannot be read or written.
    pub async fn forget(lake: &Lake, object: &str) -> Result<bool, LandingError> {
        let id = object.strip_prefix(Files::FOLDER).and_then(|rest| rest.strip_prefix("/runs/"));
        let Some(id) = id.and_then(|rest| rest.split('/').next()) else { return Ok(false) };
        Ok(LongWork::<Files>::forget(lake, id).await?)
    }

    /// An import into a table as it is now.
    ///
    /// # Errors
    /// [`LedgerError::NoWork`]
    pub async fn get(&self, table: &str, id: &str) -> Result<ImportInfo, LedgerError> {
        let import = self.0.get(id).await?;
        match import.what.table == table {
            true => Ok(import),
            false => {
                Err(LedgerError::NoWork { kind: Files::NAME, id: import.id, code: Files::UNKNOWN })
            }
        }
    }
}
