//! Every path and its handler.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use super::health;
use crate::app::App;

/// The whole service.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .with_state(app)
}
