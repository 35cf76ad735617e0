//! A handler that takes [`Authenticated`] runs only for somebody whose token was checked.

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use super::denied::Caller;
use super::error::ApiError;
use super::state::ApiState;
use crate::auth::{AuthError, Principal};
use crate::edge::asked_by;

/// Who is asking.
pub(super) struct Authenticated(pub Principal);

impl FromRequestParts<ApiState> for Authenticated {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let mut headers = parts.headers.get_all(AUTHORIZATION).iter();
        let (Some(header), None) = (headers.next(), headers.next()) else {
            return Err(AuthError::Missing.into());
        };
        let text = header.to_str().map_err(|_| AuthError::Malformed)?;
        let (scheme, token) = text.split_once(' ').ok_or(AuthError::Missing)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(AuthError::Missing.into());
        }
        match state.verifier.verify(token.trim()).await {
            Ok(principal) => {
                let roles: Vec<&str> = principal.roles.iter().map(|role| role.name()).collect();
                asked_by(&principal.subject, &roles.join(","));
                if let Some(caller) = parts.extensions.get::<Caller>() {
                    caller.is(&principal);
                }
                Ok(Self(principal))
            }
            Err(error) => {
                tracing::info!(%error, "denied");
                Err(error.into())
            }
        }
    }
}
