//! `/v1/landing/{table}/imports`: files that lie somewhere are loaded.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use stedi_openapi::{
    ImportInfo, ImportPath, ImportRequest, ImportRun, LandingPath, Work, WorkEvent,
};

use super::authenticated::Authenticated;
use super::error::ApiError;
use super::extract::{JsonOf, PathOf};
use super::idempotency;
use super::landing::LOADERS;
use super::origin::Origin;
use super::state::ApiState;
use super::work;
use crate::ledger::Asker;

/// Import files
///
/// Loads all files below a place that were not loaded before. With `Prefer: wait=N` the answer waits
/// for the end for up to N seconds (60 at most).
#[utoipa::path(
    post,
    path = "/v1/landing/{table}/imports",
    operation_id = "import_begin",
    tag = "landing",
    params(
        LandingPath,
        ("Prefer" = Option<String>, Header, description = "`wait=N`: seconds to wait for the end."),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body is the same import."),
    ),
    request_body(content = ImportRequest, description = "Where the files are."),
    responses(
        (status = OK, description = "It has ended already.", body = Work<ImportRun>, headers(
            ("Location" = String, description = "The import."),
        )),
        (status = ACCEPTED, description = "It waits or runs.", body = Work<ImportRun>, headers(
            ("Location" = String, description = "The import."),
        )),
    ),
)]
pub(super) async fn ask(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(LandingPath { table }): PathOf<LandingPath>,
    origin: Origin,
    headers: HeaderMap,
    JsonOf(request): JsonOf<ImportRequest>,
) -> Result<Response, ApiError> {
    principal.require(&LOADERS)?;
    let imports = &state.app.imports;
    let asker = Asker::new(&principal, origin.request_id);
    let key = idempotency::key(&headers)?;
    let import = imports.ask(asker, &table, &request.source, key).await?;
    let folder = format!("/v1/landing/{table}/imports");
    work::begun(imports.work(), &headers, &folder, import).await
}

/// One import
#[utoipa::path(
    get,
    path = "/v1/landing/{table}/imports/{id}",
    operation_id = "import",
    tag = "landing",
    params(ImportPath),
    responses((status = OK, description = "The import.", body = Work<ImportRun>)),
)]
pub(super) async fn one(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<ImportPath>,
) -> Result<Json<ImportInfo>, ApiError> {
    principal.require(&LOADERS)?;
    Ok(Json(state.app.imports.get(&path.table, &path.id).await?))
}

/// Progress of an import
///
/// Server-sent events: an event `import` with the import whenever something is new, the last one when
/// it has ended. The stream ends then.
#[utoipa::path(
    get,
    path = "/v1/landing/{table}/imports/{id}/events",
    operation_id = "import_events",
    tag = "landing",
    params(ImportPath),
    responses((
        status = OK,
        description = "Events with a `Work_ImportRun` each.",
        content((WorkEvent = "text/event-stream")),
    )),
)]
pub(super) async fn progress(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<ImportPath>,
) -> Result<Response, ApiError> {
    principal.require(&LOADERS)?;
    let imports = &state.app.imports;
    let first = imports.get(&path.table, &path.id).await?;
    Ok(work::follow(imports.work(), first))
}

/// Cancel an import
///
/// The file that it is at is loaded wholly or not at all, those before it stay loaded. An import that
/// has ended stays as it is.
#[utoipa::path(
    post,
    path = "/v1/landing/{table}/imports/{id}/cancel",
    operation_id = "import_cancel",
    tag = "landing",
    params(ImportPath),
    responses((status = OK, description = "The import.", body = Work<ImportRun>)),
)]
pub(super) async fn cancel(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<ImportPath>,
    origin: Origin,
) -> Result<Json<ImportInfo>, ApiError> {
    principal.require(&LOADERS)?;
    let imports = &state.app.imports;
    let import = imports.get(&path.table, &path.id).await?;
    let by = (origin, &principal);
    let route = "/v1/landing/{table}/imports/{id}/cancel";
    work::cancel(&state, imports.work(), &import.id, by, route).await
}
