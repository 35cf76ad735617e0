//! What all kinds of long work have in common over HTTP.

use axum::Json;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use stedi_openapi::Work;

use super::error::ApiError;
use super::origin::Origin;
use super::state::ApiState;
use super::{events, prefer};
use crate::auth::Principal;
use crate::ledger::audit::End;
use crate::ledger::{Kind, LongWork};

/// Work of a page whose size is not asked for.
const PAGE: u64 = 20;
/// Work of the largest page.
const LARGEST: u64 = 200;

/// What is answered to an order: the work, once it has ended where the caller would rather wait.
pub(super) async fn begun<K: Kind>(
    work: &LongWork<K>,
    headers: &HeaderMap,
    folder: &str,
    mut run: Work<K::Run>,
) -> Result<Response, ApiError> {
    if let Some(wait) = prefer::wait(headers) {
        run = work.wait(&run.id, wait).await?;
    }
    let status = match run.state.is_final() {
        true => StatusCode::OK,
        false => StatusCode::ACCEPTED,
    };
    let location = HeaderValue::from_str(&format!("{folder}/{}", run.id));
    let mut response = (status, Json(run)).into_response();
    if let Ok(location) = location {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// How much of a page is asked for.
pub(super) fn limit(asked: Option<u64>) -> Result<usize, ApiError> {
    let limit = asked.unwrap_or(PAGE);
    match usize::try_from(limit) {
        Ok(count) if (1..=LARGEST).contains(&limit) => Ok(count),
        _ => Err(ApiError::Malformed(format!("limit is from 1 to {LARGEST}"))),
    }
}

/// The work, and the work again whenever something of it is new, until it has ended.
pub(super) fn follow<K: Kind>(work: &LongWork<K>, first: Work<K::Run>) -> Response {
    let work = work.clone();
    events::follow(K::word(&first.what), first, move |run: Work<K::Run>| {
        let work = work.clone();
        async move {
            if run.state.is_final() {
                return None;
            }
            tokio::select! {
                now = work.get(&run.id) => now.ok(),
                () = work.stopping().cancelled() => None,
            }
        }
    })
}

/// Cancels work that is there, and records that somebody did; `path` is the route.
pub(super) async fn cancel<K: Kind>(
    state: &ApiState,
    work: &LongWork<K>,
    id: &str,
    (origin, principal): (Origin, &Principal),
    path: &str,
) -> Result<Json<Work<K::Run>>, ApiError> {
    let draft = origin.draft(K::ACTION, &format!("POST {path}"), principal);
    state.app.audit.record(draft, End::ok()).await?;
    Ok(Json(work.cancel(id).await?))
}
