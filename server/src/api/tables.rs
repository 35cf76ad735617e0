//! `/v1/tables`: what there is.

use axum::Json;
use axum::extract::State;
use futures::future::try_join_all;
use stedi_openapi::{ColumnInfo, TableInfo, TableList, TablePath};

use super::authenticated::Authenticated;
use super::error::ApiError;
use super::extract::PathOf;
use super::moment::rfc3339;
use super::state::ApiState;
use crate::auth::{AuthError, Principal, Role};
use crate::pipeline::Column;
use crate::query::{QueryError, SeenTable, sql_name};

/// Who reads the catalog.
pub(super) const READERS: [Role; 2] = [Role::Analyst, Role::Trainer];

/// All tables
///
/// What there is: zones, columns with type and class, versions, rows, bytes and lineage.
#[utoipa::path(
    get,
    path = "/v1/tables",
    operation_id = "tables",
    tag = "tables",
    responses((status = OK, description = "The tables that are there for the caller.", body = TableList)),
)]
pub(super) async fn list(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
) -> Result<Json<TableList>, ApiError> {
    readers(&principal)?;
    let tables = state.app.catalog.tables(&principal).await?;
    let tables = try_join_all(tables.into_iter().map(info)).await?;
    Ok(Json(TableList { tables }))
}

/// One table
#[utoipa::path(
    get,
    path = "/v1/tables/{table}",
    operation_id = "table",
    tag = "tables",
    params(TablePath),
    responses((status = OK, description = "The table.", body = TableInfo)),
)]
pub(super) async fn one(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<TablePath>,
) -> Result<Json<TableInfo>, ApiError> {
    readers(&principal)?;
    Ok(Json(info(state.app.catalog.table(&principal, &path.table).await?).await?))
}

fn readers(principal: &Principal) -> Result<(), AuthError> {
    principal.require(&READERS)
}

async fn info(seen: SeenTable) -> Result<TableInfo, QueryError> {
    let stats = seen.table.stats()?;
    let timestamp = seen.table.committed_at().await?;
    Ok(TableInfo {
        name: seen.table.name().to_owned(),
        zone: seen.zone.name().to_owned(),
        description: seen.description,
        columns: seen.columns.iter().map(column).collect(),
        version: seen.table.version(),
        timestamp,
        time: timestamp.map(rfc3339),
        rows: stats.rows,
        files: stats.files,
        bytes: stats.bytes,
        sources: seen.sources,
    })
}

fn column(column: &Column) -> ColumnInfo {
    ColumnInfo {
        name: column.name.clone(),
        kind: sql_name(&column.data_type),
        class: column.class.name().to_owned(),
    }
}
