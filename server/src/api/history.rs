//! `/v1/tables/{table}/history`: every version with time, operation, who, rows changed.

use axum::Json;
use axum::extract::State;
use stedi_openapi::{HistoryQuery, TableHistory, TablePath, TableVersion};

use super::authenticated::Authenticated;
use super::error::ApiError;
use super::extract::{PathOf, QueryOf};
use super::moment::rfc3339;
use super::state::ApiState;
use super::tables::READERS;
use crate::query::Version;

/// Versions of a page whose size is not asked for.
const PAGE: u64 = 100;
/// Versions of the largest page.
const LARGEST: u64 = 1000;

/// History of a table
///
/// Every version, newest first: when and by whom it was made, what was done, how many rows and bytes
/// came and went, and what a derived table was made from.
#[utoipa::path(
    get,
    path = "/v1/tables/{table}/history",
    operation_id = "history",
    tag = "tables",
    params(TablePath, HistoryQuery),
    responses((status = OK, description = "A page of its versions.", body = TableHistory)),
)]
pub(super) async fn read(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<TablePath>,
    QueryOf(query): QueryOf<HistoryQuery>,
) -> Result<Json<TableHistory>, ApiError> {
    principal.require(&READERS)?;
    let limit = query.limit.unwrap_or(PAGE);
    let limit = match usize::try_from(limit) {
        Ok(count) if (1..=LARGEST).contains(&limit) => count,
        _ => return Err(ApiError::Malformed(format!("limit is from 1 to {LARGEST}"))),
    };
    let table = state.app.catalog.table(&principal, &path.table).await?;
    let history = table.history(query.before, limit).await?;
    let versions: Vec<TableVersion> = history.versions.into_iter().map(version).collect();
    let oldest = versions.last().map(|version| version.version);
    Ok(Json(TableHistory {
        table: table.table.name().to_owned(),
        first: history.first,
        next: oldest.filter(|oldest| *oldest > history.first),
        versions,
    }))
}

fn version(version: Version) -> TableVersion {
    let committed = version.committed;
    TableVersion {
        version: committed.version,
        timestamp: committed.millis,
        time: rfc3339(committed.millis),
        operation: version.operation,
        mode: version.mode,
        why: version.why,
        who: version.who,
        request_id: version.request_id,
        rows_inserted: committed.rows_inserted,
        rows_deleted: committed.rows_deleted,
        bytes_added: committed.bytes_added,
        bytes_removed: committed.bytes_removed,
        sources: version.sources,
    }
}
