//! `/v1/promotions`: runs that bring derived tables up to date.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use stedi_openapi::{
    PromotionCause, PromotionInfo, PromotionList, PromotionPath, PromotionQuery, PromotionRequest,
    PromotionRun, Work, WorkEvent,
};

use super::authenticated::Authenticated;
use super::error::ApiError;
use super::extract::{JsonOf, PathOf, QueryOf};
use super::idempotency;
use super::origin::Origin;
use super::state::ApiState;
use super::work;
use crate::ledger::Asker;

/// Bring tables up to date
///
/// One run at a time; others wait. With `Prefer: wait=N` the answer waits for the end of the run for
/// up to N seconds (60 at most).
#[utoipa::path(
    post,
    path = "/v1/promotions",
    operation_id = "promotion_begin",
    tag = "promotions",
    params(
        ("Prefer" = Option<String>, Header, description = "`wait=N`: seconds to wait for the end."),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body is the same run."),
    ),
    request_body(content = PromotionRequest, description = "Which tables; nothing for all."),
    responses(
        (status = OK, description = "It has ended already.", body = Work<PromotionRun>, headers(
            ("Location" = String, description = "The run."),
        )),
        (status = ACCEPTED, description = "It waits or runs.", body = Work<PromotionRun>, headers(
            ("Location" = String, description = "The run."),
        )),
    ),
)]
pub(super) async fn ask(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    origin: Origin,
    headers: HeaderMap,
    JsonOf(request): JsonOf<PromotionRequest>,
) -> Result<Response, ApiError> {
    principal.require(&[])?;
    let promotions = &state.app.promotions;
    let (asker, cause) = (Asker::new(&principal, origin.request_id), PromotionCause::Request);
    let key = idempotency::key(&headers)?;
    let run = promotions.ask(asker, cause, request.tables.as_deref(), key).await?;
    work::begun(promotions.work(), &headers, "/v1/promotions", run).await
}

/// Runs
///
/// Newest first. Those that have ended are kept for a while; the table `system.runs` keeps all.
#[utoipa::path(
    get,
    path = "/v1/promotions",
    operation_id = "promotions",
    tag = "promotions",
    params(PromotionQuery),
    responses((status = OK, description = "A page of runs.", body = PromotionList)),
)]
pub(super) async fn list(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    QueryOf(query): QueryOf<PromotionQuery>,
) -> Result<Json<PromotionList>, ApiError> {
    principal.require(&[])?;
    let limit = work::limit(query.limit)?;
    let page = state.app.promotions.work().page(limit, query.before.as_deref(), |_| true).await?;
    let (promotions, next) = page;
    Ok(Json(PromotionList { promotions, next }))
}

/// One run
#[utoipa::path(
    get,
    path = "/v1/promotions/{id}",
    operation_id = "promotion",
    tag = "promotions",
    params(PromotionPath),
    responses((status = OK, description = "The run.", body = Work<PromotionRun>)),
)]
pub(super) async fn one(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<PromotionPath>,
) -> Result<Json<PromotionInfo>, ApiError> {
    principal.require(&[])?;
    Ok(Json(state.app.promotions.work().get(&path.id).await?))
}

/// Progress of a run
///
/// Server-sent events: an event `promotion` with the run whenever something is new, the last one
/// when it has ended. The stream ends then.
#[utoipa::path(
    get,
    path = "/v1/promotions/{id}/events",
    operation_id = "promotion_events",
    tag = "promotions",
    params(PromotionPath),
    responses((
        status = OK,
        description = "Events with a `Work_PromotionRun` each.",
        content((WorkEvent = "text/event-stream")),
    )),
)]
pub(super) async fn events(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<PromotionPath>,
) -> Result<Response, ApiError> {
    principal.require(&[])?;
    let promotions = state.app.promotions.work();
    Ok(work::follow(promotions, promotions.get(&path.id).await?))
}

/// Cancel a run
///
/// The table that it is at stays as it was, those before it stay as they are. A run that has ended
/// stays as it is.
#[utoipa::path(
    post,
    path = "/v1/promotions/{id}/cancel",
    operation_id = "promotion_cancel",
    tag = "promotions",
    params(PromotionPath),
    responses((status = OK, description = "The run.", body = Work<PromotionRun>)),
)]
pub(super) async fn cancel(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<PromotionPath>,
    origin: Origin,
) -> Result<Json<PromotionInfo>, ApiError> {
    principal.require(&[])?;
    let promotions = state.app.promotions.work();
    let run = promotions.get(&path.id).await?;
    let by = (origin, &principal);
    work::cancel(&state, promotions, &run.id, by, "/v1/promotions/{id}/cancel").await
}
