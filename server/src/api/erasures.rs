//! `/v1/erasures`: customers are forgotten.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use stedi_openapi::{
    ErasureList, RevocationInfo, RevocationPath, RevocationQuery, RevocationRequest, RevocationRun,
    Work, WorkEvent,
};

use super::authenticated::Authenticated;
use super::consent::ERASURES;
use super::error::ApiError;
use super::extract::{JsonOf, PathOf, QueryOf};
use super::origin::Origin;
use super::state::ApiState;

/// Erase customers
///
/// When the answer says `acknowledged`, no read returns the customer's rows any more, in any zone, and
/// records of theirs that arrive are kept out. Then the rows are deleted in every zone and taken out of
/// the service's own records, what tables leave behind is removed, and it is verified that nothing is
/// left. An e-mail of which there is no customer record is erased too: readings may name it. Several
/// customers in `requests`, 1000 at most, cost little more than one. Where a legal hold is on one of
/// them, nothing is done for any.
#[utoipa::path(
    post,
    path = "/v1/erasures",
    operation_id = "erasure_begin",
    tag = "consent",
    params(
        ("Prefer" = Option<String>, Header, description = "`wait=N`: seconds to wait for the end."),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body is the same erasure."),
    ),
    request_body(content = RevocationRequest, description = "Who is to be forgotten."),
    responses(
        (status = OK, description = "It has ended already.", body = Work<RevocationRun>, headers(
            ("Location" = String, description = "The erasure."),
        )),
        (status = ACCEPTED, description = "It goes on.", body = Work<RevocationRun>, headers(
            ("Location" = String, description = "The erasure."),
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
    ERASURES.begin(&state, (origin, &principal), &headers, request).await
}

/// Erasures
///
/// Newest first.
#[utoipa::path(
    get,
    path = "/v1/erasures",
    operation_id = "erasures",
    tag = "consent",
    params(RevocationQuery),
    responses((status = OK, description = "A page of erasures.", body = ErasureList)),
)]
pub(super) async fn list(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    QueryOf(query): QueryOf<RevocationQuery>,
) -> Result<Json<ErasureList>, ApiError> {
    let (erasures, next) = ERASURES.page(&state, &principal, query).await?;
    Ok(Json(ErasureList { erasures, next }))
}

/// One erasure
#[utoipa::path(
    get,
    path = "/v1/erasures/{id}",
    operation_id = "erasure",
    tag = "consent",
    params(RevocationPath),
    responses((status = OK, description = "The erasure.", body = Work<RevocationRun>)),
)]
pub(super) async fn one(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<RevocationPath>,
) -> Result<Json<RevocationInfo>, ApiError> {
    Ok(Json(ERASURES.one(&state, &principal, &path.id).await?))
}

/// Progress of an erasure
///
/// Server-sent events: an event `erasure` with the erasure whenever something is new, the last one
/// when it has ended. The stream ends then.
#[utoipa::path(
    get,
    path = "/v1/erasures/{id}/events",
    operation_id = "erasure_events",
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
    ERASURES.events(&state, &principal, &path.id).await
}

/// Cancel an erasure
///
/// Only one that is not acknowledged yet: after that, 409.
#[utoipa::path(
    post,
    path = "/v1/erasures/{id}/cancel",
    operation_id = "erasure_cancel",
    tag = "consent",
    params(RevocationPath),
    responses((status = OK, description = "The erasure.", body = Work<RevocationRun>)),
)]
pub(super) async fn cancel(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<RevocationPath>,
    origin: Origin,
) -> Result<Json<RevocationInfo>, ApiError> {
    ERASURES.cancel(&state, (origin, &principal), &path.id).await
}
