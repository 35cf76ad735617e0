//! Every path and its handler.

use axum::Router;
use axum::routing::get;

use super::error::ApiError;
use super::state::ApiState;
use super::{health, metrics, tables};
use crate::edge::OwnLimits;

/// Routes that bound themselves; all others have the limits of the section `[http]`.
pub const OWN_LIMITS: &[OwnLimits] = &[];

/// The whole service.
pub fn router(state: ApiState) -> Router {
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::read))
        .route("/v1/tables", get(tables::list))
        .route("/v1/tables/{table}", get(tables::one))
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .with_state(state)
}
