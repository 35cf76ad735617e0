//! `/v1/maintenance`: tables are kept quick and small, now.

use axum::Json;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use stedi_openapi::{MaintenanceInfo, MaintenancePath, MaintenanceRequest};

use super::authenticated::Authenticated;
use super::error::ApiError;
use super::extract::{JsonOf, PathOf};
use super::origin::Origin;
use super::state::ApiState;
use super::{idempotency, prefer};
use crate::ledger::audit::{Action, End};
use crate::maintenance::Asker;

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
        (status = OK, description = "It has ended already.", body = MaintenanceInfo, headers(
            ("Location" = String, description = "The maintenance."),
        )),
        (status = ACCEPTED, description = "It waits or runs.", body = MaintenanceInfo, headers(
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
    let asker = Asker {
        principal: principal.subject.clone(),
        roles: principal.roles.iter().map(|role| role.name().to_owned()).collect(),
        request_id: origin.request_id,
    };
    let key = idempotency::key(&headers)?;
    let mut info = maintenance.ask(asker, request.tables.as_deref(), key).await?;
    if let Some(wait) = prefer::wait(&headers) {
        info = maintenance.wait(&info.id, wait).await?;
    }
    let status = match info.state.is_final() {
        true => StatusCode::OK,
        false => StatusCode::ACCEPTED,
    };
    let location = HeaderValue::from_str(&format!("/v1/maintenance/{}", info.id));
    let mut response = (status, Json(info)).into_response();
    if let Ok(location) = location {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// One maintenance
#[utoipa::path(
    get,
    path = "/v1/maintenance/{id}",
    operation_id = "maintenance",
    tag = "maintenance",
    params(MaintenancePath),
    responses((status = OK, description = "The maintenance.", body = MaintenanceInfo)),
)]
pub(super) async fn one(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<MaintenancePath>,
) -> Result<Json<MaintenanceInfo>, ApiError> {
    principal.require(&[])?;
    Ok(Json(state.app.maintenance.get(&path.id).await?))
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
    responses((status = OK, description = "The maintenance.", body = MaintenanceInfo)),
)]
pub(super) async fn cancel(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<MaintenancePath>,
    origin: Origin,
) -> Result<Json<MaintenanceInfo>, ApiError> {
    principal.require(&[])?;
    let info = state.app.maintenance.get(&path.id).await?;
    let draft = origin.draft(Action::Maintenance, "POST /v1/maintenance/{id}/cancel", &principal);
    state.app.audit.record(draft, End::ok()).await?;
    Ok(Json(state.app.maintenance.cancel(&info.id).await?))
}
