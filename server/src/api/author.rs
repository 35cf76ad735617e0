//! On whose behalf a request changes something.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::auth::Principal;
use crate::edge::RequestId;
use crate::lake::Author;

/// The request's id, where the edge gave it one.
pub(super) struct Requested(Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for Requested {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.extensions.get::<RequestId>().map(ToString::to_string)))
    }
}

impl Requested {
    /// What the history says about who did it.
    pub fn author(self, principal: &Principal) -> Author {
        Author { who: principal.subject.clone(), request_id: self.0 }
    }
}
