//! Mode `rebuild`: the whole table anew, from one version of each source, in one commit.

use std::collections::BTreeMap;

use serde_json::json;

use super::error::PromotionError;
use super::lineage::Lineage;
use crate::lake::{Change, Committed, Lake, Mode, Table, commit, session, write_all};
use crate::pipeline::{Derived, stored_columns};

/// What a rebuild did.
pub(super) struct Rebuilt {
    pub table: Table,
    pub rows_inserted: u64,
    pub rows_deleted: u64,
}

/// Replaces all rows of `table` by what its SELECT gives over `sources`.
///
/// # Errors
/// [`LakeError::Conflict`](crate::lake::LakeError::Conflict) if the table changed meanwhile.
pub(super) async fn rebuild(
    lake: &Lake,
    derived: &Derived,
    options: &BTreeMap<String, String>,
    table: &Table,
    sources: &[Table],
    lineage: Lineage,
) -> Result<Rebuilt, PromotionError> {
    let select =
        |source| PromotionError::Select { table: derived.name.clone(), source: Box::new(source) };
    let columns = stored_columns(&derived.columns);
    if !table.stores(&columns)? {
        return Err(PromotionError::OtherColumns(derived.name.clone()));
    }
    let context = lake.sessions().session();
    for source in sources {
        source.register(&context, source.name()).await?;
    }
    let plan = context.state().create_logical_plan(&derived.sql).await.map_err(select)?;
    let plan = session::bind(plan, options).map_err(select)?;
    let before = table.stats()?.rows;
    let written = write_all(&context, plan, table, &columns).await?;
    let rows_inserted = written.rows;
    let info = json!({
        "operation": "promote",
        "mode": "rebuild",
        "sources": sources.iter().map(|source| (source.name(), source.version())).collect::<BTreeMap<_, _>>(),
    });
    let files = written.clone();
    let change = Change { mode: Mode::Overwrite, written, txns: lineage.into_txns(), info };
    match commit(lake, derived.zone.name(), table, change).await {
        Ok(Committed::Now(table)) => Ok(Rebuilt { table, rows_inserted, rows_deleted: before }),
        // Either this very commit, whose answer was lost, or the same work of another server. In
        // the second case these files are nobody's, and maintenance removes them.
        Ok(Committed::Found(table)) => Ok(Rebuilt { table, rows_inserted, rows_deleted: before }),
        Err(error @ crate::lake::LakeError::Conflict { .. }) => {
            files.discard(table).await;
            Err(error.into())
        }
        Err(error) => Err(error.into()),
    }
}
