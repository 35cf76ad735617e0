//! Requests that are not let in are recorded before they are answered.

use std::sync::{Arc, OnceLock};

use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use stedi_openapi::Code;

use super::error::ApiError;
use super::origin::Origin;
use super::state::ApiState;
use crate::auth::Principal;
use crate::ledger::audit::Denial;

/// Whose token a request has; an extension of the request.
#[derive(Clone, Debug, Default)]
pub(super) struct Caller(Arc<OnceLock<Principal>>);

impl Caller {
    /// Says who it is. The first to say so is right: a request has one token.
    pub fn is(&self, principal: &Principal) {
        self.0.get_or_init(|| principal.clone());
    }
}

/// Records 401, 403, and 404 for a table: what a role may not see is not there for it.
pub(super) async fn record(
    State(state): State<ApiState>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let caller = Caller::default();
    parts.extensions.insert(caller.clone());
    let origin = Origin::of(&parts);
    let path = parts.extensions.get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let method = parts.method.clone();
    let response = next.run(Request::from_parts(parts, body)).await;

    let Some(code) = response.extensions().get::<Code>().copied() else { return response };
    let denied = matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    if !denied && code != Code::TableNotFound {
        return response;
    }
    let principal = caller.0.get();
    let denial = Denial {
        // The template, since a path may hold anything.
        resource: format!("{method} {}", path.as_deref().unwrap_or("*")),
        code: code.name(),
        request_id: origin.request_id,
        principal: principal.map(|principal| principal.subject.clone()),
        roles: principal.iter().flat_map(|p| &p.roles).map(|role| role.name()).collect(),
        peer: origin.peer,
    };
    match state.app.audit.denied(denial).await {
        Ok(()) => response,
        Err(error) => ApiError::from(error).into_response(),
    }
}
