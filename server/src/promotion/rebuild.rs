//! Mode `rebuild`: the whole table anew, from one version of each source, in one commit.

use std::collections::BTreeMap;

use serde_json::json;

use super::error::PromotionError;
use super::lineage::Lineage;
use crate::lake::{Author, Change, Lake, Mode, Table, commit, session, write_all};
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
    author: &Author,
) -> Result<Rebuilt, PromotionError> {
    let select =
        |source| PromotionError::Select { table: derived.name.clone(), source: Box::new(source) };
    let columns = stored_columns(&derived.columns);
    if !table.stores(&columns)? {
        return Err(PromotionError::OtherColumns {
            table: derived.name.clone(),
            zone: derived.zone.name(),
        });
    }
    let context = lake.sessions().session();
    for source in sources {
        source.register(&context, source.name()).await?;
    }
    let plan = context.state().create_logical_plan(&derived.sql).await.map_err(select)?;
    let plan = session::bind(plan, options).map_err(select)?;
    let before = table.stats()?.rows;
    let written = write_all(&context, plan, table, &columns, &derived.clustered_by()).await?;
    let rows_inserted = written.rows;
    let info = json!({
        "operation": "promote",
        "mode": "rebuild",
        "sources": sources.iter().map(|source| (source.name(), source.version())).collect::<BTreeMap<_, _>>(),
    });
    let change = Change {
        mode: Mode::Overwrite,
        written,
        txns: lineage.into_txns(),
        author: author.clone(),
        info,
    };
    // Files of a rebuild that somebody was faster than are left to maintenance: whether a commit of
    // theirs is somewhere in the log after all may be unknown, and a version must stay readable.
    let table = commit(lake, derived.zone.name(), table, change).await?;
    Ok(Rebuilt { table, rows_inserted, rows_deleted: before })
}
