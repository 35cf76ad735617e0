//! `/v1/legal-holds`: customers who may not be erased for now.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use stedi_openapi::{LegalHold, LegalHoldList, LegalHoldPath, LegalHoldRequest};

use super::authenticated::Authenticated;
use super::error::ApiError;
use super::extract::{JsonOf, PathOf};
use super::origin::Origin;
use super::state::ApiState;
use crate::consent::Who;
use crate::ledger::Asker;
use crate::ledger::audit::{Action, End};

/// Place a legal hold
///
/// The customer is not erased until it ends: an erasure is refused with the reason. It does not stop
/// one that is acknowledged, and says so in `erasure`. Revocations go on, as they leave what was
/// received.
#[utoipa::path(
    post,
    path = "/v1/legal-holds",
    operation_id = "legal_hold_place",
    tag = "consent",
    request_body(content = LegalHoldRequest, description = "Whose data is to be held, and why."),
    responses((status = CREATED, description = "The hold.", body = LegalHold, headers(
        ("Location" = String, description = "The hold."),
    ))),
)]
pub(super) async fn place(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    origin: Origin,
    JsonOf(request): JsonOf<LegalHoldRequest>,
) -> Result<Response, ApiError> {
    principal.require(&[])?;
    let LegalHoldRequest { email, serialnumber, reason } = request;
    let who = Who::of(email, serialnumber)?;
    let asker = Asker::new(&principal, origin.request_id.clone());
    let draft = origin.draft(Action::Consent, "POST /v1/legal-holds", &principal);
    state.app.audit.record(draft, End::ok()).await?;
    let hold = state.app.revocations.hold(asker, who, reason).await?;
    let location = format!("/v1/legal-holds/{}", hold.id);
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(hold)).into_response())
}

/// Legal holds
///
/// Those that have not ended, newest first.
#[utoipa::path(
    get,
    path = "/v1/legal-holds",
    operation_id = "legal_holds",
    tag = "consent",
    responses((status = OK, description = "The holds.", body = LegalHoldList)),
)]
pub(super) async fn list(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
) -> Result<Json<LegalHoldList>, ApiError> {
    principal.require(&[])?;
    Ok(Json(LegalHoldList { holds: state.app.revocations.holds().await? }))
}

/// End a legal hold
///
/// The customer may be erased from then on.
#[utoipa::path(
    delete,
    path = "/v1/legal-holds/{id}",
    operation_id = "legal_hold_end",
    tag = "consent",
    params(LegalHoldPath),
    responses((status = OK, description = "The hold that has ended.", body = LegalHold)),
)]
pub(super) async fn end(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<LegalHoldPath>,
    origin: Origin,
) -> Result<Json<LegalHold>, ApiError> {
    principal.require(&[])?;
    let draft = origin.draft(Action::Consent, "DELETE /v1/legal-holds/{id}", &principal);
    state.app.audit.record(draft, End::ok()).await?;
    Ok(Json(state.app.revocations.end_hold(&path.id).await?))
}
