//! Every path and its handler.

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;

use super::error::ApiError;
use super::state::ApiState;
use super::{audit, denied, health, tables};

/// The whole service.
pub fn router(state: ApiState) -> Router {
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/v1/tables", get(tables::list))
        .route("/v1/tables/{table}", get(tables::one))
        .route("/v1/audit", get(audit::list))
        .route("/v1/audit/verify", get(audit::verify))
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(from_fn_with_state(state.clone(), denied::record))
        .with_state(state)
}
