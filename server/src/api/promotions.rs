//! `/v1/promotions`: runs that bring derived tables up to date.

use axum::Json;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use stedi_openapi::{
    PromotionCause, PromotionInfo, PromotionList, PromotionPath, PromotionQuery, PromotionRequest,
    WorkEvent,
};

use super::authenticated::Authenticated;
use super::error::ApiError;
use super::extract::{JsonOf, PathOf, QueryOf};
use super::origin::Origin;
use super::state::ApiState;
use super::{events, idempotency, prefer};
use crate::ledger::audit::{Action, End};
use crate::promotion::Asker;

/// Runs of a page whose size is not asked for.
const PAGE: u64 = 20;
/// Runs of the largest page.
const LARGEST: u64 = 200;
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
        (status = OK, description = "It has ended already.", body = PromotionInfo, headers(
            ("Location" = String, description = "The run."),
        )),
        (status = ACCEPTED, description = "It waits or runs.", body = PromotionInfo, headers(
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
    let asker = Asker {
        principal: principal.subject.clone(),
        roles: principal.roles.iter().map(|role| role.name().to_owned()).collect(),
        request_id: origin.request_id,
        cause: PromotionCause::Request,
    };
    let key = idempotency::key(&headers)?;
    let mut run = promotions.ask(asker, request.tables.as_deref(), key).await?;
    if let Some(wait) = prefer::wait(&headers) {
        run = promotions.wait(&run.id, wait).await?;
    }
    let status = match run.state.is_final() {
        true => StatusCode::OK,
        false => StatusCode::ACCEPTED,
    };
    let location = HeaderValue::from_str(&format!("/v1/promotions/{}", run.id));
    let mut response = (status, Json(run)).into_response();
    if let Ok(location) = location {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
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
    let limit = query.limit.unwrap_or(PAGE);
    let limit = match usize::try_from(limit) {
        Ok(count) if (1..=LARGEST).contains(&limit) => count,
        _ => return Err(ApiError::Malformed(format!("limit is from 1 to {LARGEST}"))),
    };
    Ok(Json(state.app.promotions.list(limit, query.before.as_deref()).await?))
}

/// One run
#[utoipa::path(
    get,
    path = "/v1/promotions/{id}",
    operation_id = "promotion",
    tag = "promotions",
    params(PromotionPath),
    responses((status = OK, description = "The run.", body = PromotionInfo)),
)]
pub(super) async fn one(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<PromotionPath>,
) -> Result<Json<PromotionInfo>, ApiError> {
    principal.require(&[])?;
    Ok(Json(state.app.promotions.get(&path.id).await?))
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
        description = "Events with a `PromotionInfo` each.",
        content((WorkEvent = "text/event-stream")),
    )),
)]
pub(super) async fn events(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<PromotionPath>,
) -> Result<Response, ApiError> {
    principal.require(&[])?;
    let promotions = state.app.promotions.clone();
    let first = promotions.get(&path.id).await?;
    Ok(events::follow("promotion", first, move |run: PromotionInfo| {
        let promotions = promotions.clone();
        async move {
            if run.state.is_final() {
                return None;
            }
            tokio::select! {
                now = promotions.get(&run.id) => now.ok(),
                () = promotions.stopping() => None,
            }
        }
    }))
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
    responses((status = OK, description = "The run.", body = PromotionInfo)),
)]
pub(super) async fn cancel(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<PromotionPath>,
    origin: Origin,
) -> Result<Json<PromotionInfo>, ApiError> {
    principal.require(&[])?;
    let run = state.app.promotions.get(&path.id).await?;
    let draft = origin.draft(Action::Promotion, "POST /v1/promotions/{id}/cancel", &principal);
    state.app.audit.record(draft, End::ok()).await?;
    Ok(Json(state.app.promotions.cancel(&run.id).await?))
}
