//! On whose behalf a request changes something.

use axum::http::HeaderMap;

use crate::auth::Principal;
use crate::lake::Author;

/// Characters of a request's id.
const LONGEST: usize = 64;

/// What the history says: the principal, and the request's id if it has one.
pub(super) fn author(principal: &Principal, headers: &HeaderMap) -> Author {
    let id = headers.get("x-request-id").and_then(|id| id.to_str().ok());
    let id = id.filter(|id| (1..=LONGEST).contains(&id.len()));
    Author { who: principal.subject.clone(), request_id: id.map(str::to_owned) }
}
