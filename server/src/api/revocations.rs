//! `/v1/revocations`: customers withdraw their consent to research.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use stedi_openapi::{
    RevocationInfo, RevocationList, RevocationPath, RevocationQuery, RevocationRequest,
    RevocationRun, Work, WorkEvent,
};

use super::authenticated::Authenticated;
use super::consent::REVOCATIONS;
use super::error::ApiError;
use super::extract::{JsonOf, PathOf, QueryOf};
use super::origin::Origin;
use super::state::ApiState;

/// Withdraw consent
///
/// When the answer says `acknowledged`, no read returns the customer's rows in trusted and curated any
/// more, nor those of others on their devices that now lack a consent; landing keeps them. Then the
/// rows are deleted, what tables leave behind is removed, and it is verified that nothing is left.
/// Several customers in `requests`, 1000 at most, cost little more than one. A consent that is dated
/// later brings the rows of later promotions back.
#[utoipa::path(
    post,
    path = "/v1/revocations",
    operation_id = "revocation_begin",
    tag = "consent",
    params(
        ("Prefer" = Option<String>, Header, description = "`wait=N`: seconds to wait for the end."),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body is the same revocation."),
    ),
    request_body(content = RevocationRequest, description = "Whose consent."),
    responses(
        (status = OK, description = "It has ended already.", body = Work<RevocationRun>, headers(
            ("Location" = String, description = "The revocation."),
        )),
        (status = ACCEPTED, description = "It goes on.", body = Work<RevocationRun>, headers(
            ("Location" = String, description = "The revocation."),
        )),
    ),
)]
pub(super) async fn ask(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    origin: Origin,
    headers: HeaderMap,
    JsonOf(request): JsonOf<RevocationRequest>,
) -> Result<Response, ApiError> {
    REVOCATIONS.begin(&state, (origin, &principal), &headers, request).await
}

/// Revocations
///
/// Newest first.
#[utoipa::path(
    get,
    path = "/v1/revocations",
    operation_id = "revocations",
    tag = "consent",
    params(RevocationQuery),
    responses((status = OK, description = "A page of revocations.", body = RevocationList)),
)]
pub(super) async fn list(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    QueryOf(query): QueryOf<RevocationQuery>,
) -> Result<Json<RevocationList>, ApiError> {
    let (revocations, next) = REVOCATIONS.page(&state, &principal, query).await?;
    Ok(Json(RevocationList { revocations, next }))
}

/// One revocation
#[utoipa::path(
    get,
    path = "/v1/revocations/{id}",
    operation_id = "revocation",
    tag = "consent",
    params(RevocationPath),
    responses((status = OK, description = "The revocation.", body = Work<RevocationRun>)),
)]
pub(super) async fn one(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<RevocationPath>,
) -> Result<Json<RevocationInfo>, ApiError> {
    Ok(Json(REVOCATIONS.one(&state, &principal, &path.id).await?))
}

/// Progress of a revocation
///
/// Server-sent events: an event `revocation` with the revocation whenever something is new, the last
/// one when it has ended. The stream ends then.
#[utoipa::path(
    get,
    path = "/v1/revocations/{id}/events",
    operation_id = "revocation_events",
    tag = "consent",
    params(RevocationPath),
    responses((
        status = OK,
        description = "Events with a `Work_RevocationRun` each.",
        content((WorkEvent = "text/event-stream")),
    )),
)]
pub(super) async fn events(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<RevocationPath>,
) -> Result<Response, ApiError> {
    REVOCATIONS.events(&state, &principal, &path.id).await
}

/// Cancel a revocation
///
/// Only one that is not acknowledged yet: after that, 409.
#[utoipa::path(
    post,
    path = "/v1/revocations/{id}/cancel",
    operation_id = "revocation_cancel",
    tag = "consent",
    params(RevocationPath),
    responses((status = OK, description = "The revocation.", body = Work<RevocationRun>)),
)]
pub(super) async fn cancel(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<RevocationPath>,
    origin: Origin,
) -> Result<Json<RevocationInfo>, ApiError> {
    REVOCATIONS.cancel(&state, (origin, &principal), &path.id).await
}
