//! `/v1/limits`: what statements may take.

use axum::Json;
use axum::extract::State;
use stedi_openapi::Limits;

use super::authenticated::Authenticated;
use super::error::ApiError;
use super::state::ApiState;
use super::tables::READERS;

/// Limits
///
/// What a statement of the caller may take, and how many statements run and wait now.
#[utoipa::path(
    get,
    path = "/v1/limits",
    operation_id = "limits",
    tag = "sql",
    responses((status = OK, description = "The caller's limits.", body = Limits)),
)]
pub(super) async fn limits(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
) -> Result<Json<Limits>, ApiError> {
    principal.require(&READERS)?;
    let limits = state.app.query.limits();
    let own = limits.of(&principal);
    let queue = limits.queue();
    let (running, queued) = limits.now();
    Ok(Json(Limits {
        statement_bytes: own.text.bytes as u64,
        nesting: own.text.nesting as u64,
        chain: own.text.chain as u64,
        seconds: own.time.as_secs(),
        async_seconds: own.async_time.as_secs(),
        rows: own.rows,
        bytes: own.bytes,
        memory_bytes: own.memory as u64,
        statements_at_once: own.at_once as u64,
        queued: queue.queued as u64,
        queue_seconds: queue.wait.as_secs(),
        running_now: running as u64,
        queued_now: queued as u64,
    }))
}
