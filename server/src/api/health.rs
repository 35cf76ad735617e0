//! `/healthz` and `/readyz`.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use stedi_openapi::Health;

use super::state::ApiState;

/// How long the lake may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Alive
///
/// The process answers; nothing else is asked.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "service",
    responses((status = OK, description = "It lives.", body = Health)),
)]
pub(super) async fn alive() -> Json<Health> {
    Json(Health::ok(0))
}

/// Ready
///
/// The lake answers too.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "service",
    responses(
        (status = OK, description = "It is ready for work.", body = Health),
        (
            status = SERVICE_UNAVAILABLE,
            description = "The lake does not answer.",
            body = Health,
            example = json!({ "status": "unavailable" }),
        ),
    ),
)]
pub(super) async fn ready(State(state): State<ApiState>) -> (StatusCode, Json<Health>) {
    match tokio::time::timeout(PATIENCE, state.app.lake.answers()).await {
        Ok(Ok(())) => {
            let overdue_revocations = state.app.metrics.overdue();
            (StatusCode::OK, Json(Health::ok(overdue_revocations)))
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, Json(Health::Unavailable))
        }
        Err(_) => {
            tracing::warn!(seconds = PATIENCE.as_secs(), "not ready: the lake does not answer");
            (StatusCode::SERVICE_UNAVAILABLE, Json(Health::Unavailable))
        }
    }
}
