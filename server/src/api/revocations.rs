//! `/v1/revocations`: customers withdraw their consent to research.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use stedi_openapi::{
    CertificateKind, RevocationInfo, RevocationList, RevocationOf, RevocationPath, RevocationQuery,
    RevocationRequest, RevocationRun, Work, WorkEvent,
};

use super::authenticated::Authenticated;
use super::error::ApiError;
use super::extract::{JsonOf, PathOf, QueryOf};
use super::idempotency;
use super::origin::Origin;
use super::state::ApiState;
use super::work;
use crate::consent::{ConsentError, Who};
use crate::ledger::Asker;
use crate::ledger::audit::{Action, End};

/// Customers of one call.
const MOST: usize = 1000;

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
    principal.require(&[])?;
    let revocations = &state.app.revocations;
    let (customers, reason) = customers(request)?;
    let asker = Asker::new(&principal, origin.request_id.clone());
    let key = idempotency::key(&headers)?;
    let draft = origin.draft(Action::Consent, "POST /v1/revocations", &principal);
    state.app.audit.record(draft, End::ok()).await?;
    let revocation = revocations.ask(asker, &customers, reason, key).await?;
    work::begun(revocations.work(), &headers, "/v1/revocations", revocation).await
}

/// The customers of a request, and its reason.
pub(super) fn customers(
    request: RevocationRequest,
) -> Result<(Vec<Who>, Option<String>), ApiError> {
    let RevocationRequest { email, serialnumber, reason, mut requests } = request;
    match (requests.is_empty(), email.is_none() && serialnumber.is_none()) {
        (true, _) => requests.push(RevocationOf { email, serialnumber }),
        (false, true) if requests.len() <= MOST => {}
        (false, true) => {
            return Err(ApiError::Malformed(format!("requests has more than {MOST} customers")));
        }
        (false, false) => return Err(ConsentError::Malformed.into()),
    }
    let customers: Result<Vec<Who>, ConsentError> =
        requests.into_iter().map(|one| Who::of(one.email, one.serialnumber)).collect();
    Ok((customers?, reason))
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
    principal.require(&[])?;
    let limit = work::limit(query.limit)?;
    let before = query.before.as_deref();
    let (kind, state_of) = (CertificateKind::Revocation, query.state);
    let (revocations, next) = state.app.revocations.list(kind, state_of, limit, before).await?;
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
    principal.require(&[])?;
    Ok(Json(state.app.revocations.get(CertificateKind::Revocation, &path.id).await?))
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
    principal.require(&[])?;
    let revocations = &state.app.revocations;
    let revocation = revocations.get(CertificateKind::Revocation, &path.id).await?;
    Ok(work::follow(revocations.work(), revocation))
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
    principal.require(&[])?;
    let revocations = &state.app.revocations;
    let revocation = revocations.get(CertificateKind::Revocation, &path.id).await?;
    let by = (origin, &principal);
    work::cancel(&state, revocations.work(), &revocation.id, by, "/v1/revocations/{id}/cancel")
        .await
}
