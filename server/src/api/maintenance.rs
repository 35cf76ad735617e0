//! `/v1/maintenance`: tables are kept quick and small, now.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use stedi_openapi::{MaintenanceInfo, MaintenancePath, MaintenanceRequest, MaintenanceRun, Work};

use super::authenticated::Authenticated;
use super::error::ApiError;
use super::extract::{JsonOf, PathOf};
use super::idempotency;
use super::origin::Origin;
use super::state::ApiState;
use super::work;
use crate::ledger::Asker;

/// Maintain tables
///
/// Small and scattered files are rewritten, sorted by whose rows they are; checkpoints are written;
/// commits and files that nobody needs any more are removed. No row changes. What is not due yet by the
/// section `[maintenance]` of the configuration is left alone. With `Prefer: wait=N` the answer waits
/// for the end for up to N seconds (60 at most).
#[utoipa::path(
    post,
    path = "/v1/maintenance",
    operation_id = "maintenance_begin",
    tag = "maintenance",
    params(
        ("Prefer" = Option<String>, Header, description = "`wait=N`: seconds to wait for the end."),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body is the same maintenance."),
    ),
    request_body(content = MaintenanceRequest, description = "Which tables; nothing for all."),
    responses(
        (status = OK, description = "It has ended already.", body = Work<MaintenanceRun>, headers(
            ("Location" = String, description = "The maintenance."),
        )),
        (status = ACCEPTED, description = "It waits or runs.", body = Work<MaintenanceRun>, headers(
            ("Location" = String, description = "The maintenance."),
        )),
    ),
)]
pub(super) async fn ask(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    origin: Origin,
    headers: HeaderMap,
    JsonOf(request): JsonOf<MaintenanceRequest>,
) -> Result<Response, ApiError> {
    principal.require(&[])?;
    let maintenance = &state.app.maintenance;
    let asker = Asker::new(&principal, origin.request_id);
    let key = idempotency::key(&headers)?;
    let info = maintenance.ask(asker, request.tables.as_deref(), key).await?;
    work::begun(maintenance.work(), &headers, "/v1/maintenance", info).await
}

/// One maintenance
#[utoipa::path(
    get,
    path = "/v1/maintenance/{id}",
    operation_id = "maintenance",
    tag = "maintenance",
    params(MaintenancePath),
    responses((status = OK, description = "The maintenance.", body = Work<MaintenanceRun>)),
)]
pub(super) async fn one(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<MaintenancePath>,
) -> Result<Json<MaintenanceInfo>, ApiError> {
    principal.require(&[])?;
    Ok(Json(state.app.maintenance.work().get(&path.id).await?))
}

/// Cancel a maintenance
///
/// What was done stays done. One that has ended stays as it is.
#[utoipa::path(
    post,
    path = "/v1/maintenance/{id}/cancel",
    operation_id = "maintenance_cancel",
    tag = "maintenance",
    params(MaintenancePath),
    responses((status = OK, description = "The maintenance.", body = Work<MaintenanceRun>)),
)]
pub(super) async fn cancel(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<MaintenancePath>,
    origin: Origin,
) -> Result<Json<MaintenanceInfo>, ApiError> {
    principal.require(&[])?;
    let maintenance = state.app.maintenance.work();
    let info = maintenance.get(&path.id).await?;
    let by = (origin, &principal);
    work::cancel(&state, maintenance, &info.id, by, "/v1/maintenance/{id}/cancel").await
}
