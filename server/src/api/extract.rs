//! Parts of a request, answered with a problem where they cannot be read.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::error::ApiError;

/// The variables of the path.
pub(super) struct PathOf<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for PathOf<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(_) => Err(ApiError::Malformed("the path cannot be read".to_owned())),
        }
    }
}

/// The parameters behind the `?`.
pub(super) struct QueryOf<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for QueryOf<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(ApiError::Malformed(rejection.body_text())),
        }
    }
}

/// A body of JSON; an empty one is the default.
pub(super) struct JsonOf<T>(pub T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for JsonOf<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let kind = request.headers().get(CONTENT_TYPE).cloned();
        let body = Bytes::from_request(request, state).await;
        // The edge says what is wrong with a body that is too long or does not come.
        let body = body.map_err(|error| ApiError::Malformed(error.body_text()))?;
        if body.is_empty() {
            return Ok(Self(T::default()));
        }
        let word = kind.as_ref().and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let word = word.split(';').next().unwrap_or_default().trim();
        if !word.eq_ignore_ascii_case("application/json") {
            return Err(ApiError::MediaType("application/json".to_owned()));
        }
        let value = serde_json::from_slice(&body);
        value.map(Self).map_err(|error| ApiError::Malformed(error.to_string()))
    }
}
