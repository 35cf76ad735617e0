//! `/metrics`: what the server counts, for Prometheus.

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::authenticated::Authenticated;
use super::error::ApiError;
use super::state::ApiState;
use crate::metrics::MEDIA_TYPE;

/// Metrics
///
/// What the server counts, in the text format of OpenMetrics, for Prometheus. `docs/metrics.md` says
/// what each means.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "metrics",
    tag = "service",
    responses((status = OK, description = "The metrics.", body = String, content_type = "application/openmetrics-text")),
)]
pub(super) async fn read(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
) -> Result<Response, ApiError> {
    principal.require(&[])?;
    Ok(text(&state))
}

/// `/metrics` alone and without a token, for an address of its own.
pub fn metrics_router(state: ApiState) -> Router {
    let read = async |State(state): State<ApiState>| text(&state);
    Router::new()
        .route("/metrics", get(read))
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .with_state(state)
}

fn text(state: &ApiState) -> Response {
    ([(CONTENT_TYPE, MEDIA_TYPE)], state.app.metrics_text()).into_response()
}
