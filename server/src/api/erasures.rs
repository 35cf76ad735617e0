//! `/v1/erasures`: customers are forgotten.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use stedi_openapi::{
    CertificateKind, ErasureList, RevocationInfo, RevocationPath, RevocationQuery,
    RevocationRequest, RevocationRun, Work, WorkEvent,
};

use super::authenticated::Authenticated;
use super::error::ApiError;
use super::extract::{JsonOf, PathOf, QueryOf};
use super::idempotency;
use super::origin::Origin;
use super::revocations::customers;
use super::state::ApiState;
use super::work;
use crate::ledger::Asker;
use crate::ledger::audit::{Action, End};

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
    principal.require(&[])?;
    let erasures = &state.app.revocations;
    let (customers, reason) = customers(request)?;
    let asker = Asker::new(&principal, origin.request_id.clone());
    let key = idempotency::key(&headers)?;
    let draft = origin.draft(Action::Consent, "POST /v1/erasures", &principal);
    state.app.audit.record(draft, End::ok()).await?;
    let erasure = erasures.erase(asker, &customers, reason, key).await?;
    work::begun(erasures.work(), &headers, "/v1/erasures", erasure).await
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
    principal.require(&[])?;
    let limit = work::limit(query.limit)?;
    let before = query.before.as_deref();
    let (kind, state_of) = (CertificateKind::Erasure, query.state);
    let (erasures, next) = state.app.revocations.list(kind, state_of, limit, before).await?;
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
    principal.require(&[])?;
    Ok(Json(state.app.revocations.get(CertificateKind::Erasure, &path.id).await?))
}

/// Progress of an erasure
///
/// Server-sent events: an event `revocation` with the erasure whenever something is new, the last one
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
    principal.require(&[])?;
    let erasures = &state.app.revocations;
    let erasure = erasures.get(CertificateKind::Erasure, &path.id).await?;
    Ok(work::follow(erasures.work(), erasure))
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
    principal.require(&[])?;
    let erasures = &state.app.revocations;
    let erasure = erasures.get(CertificateKind::Erasure, &path.id).await?;
    let by = (origin, &principal);
    work::cancel(&state, erasures.work(), &erasure.id, by, "/v1/erasures/{id}/cancel").await
}
