//! The one mapping of errors to HTTP: RFC 9457, without paths, secrets or plan texts.

use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::auth::AuthError;
use crate::edge::problem;
use crate::query::QueryError;

/// Why a request has no other answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    /// The caller is not let in.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// No such path.
    #[error("there is nothing at this path")]
    NotFound,
    /// The path is there, the method is not.
    #[error("this path does not take that method")]
    MethodNotAllowed,
    /// A table or statement.
    #[error(transparent)]
    Query(#[from] QueryError),
}

impl ApiError {
    /// Status, stable word, and the text for the caller.
    fn parts(&self) -> (StatusCode, &'static str, String) {
        let internal = "the request could not be carried out; the server's log says why";
        match self {
            Self::Auth(AuthError::Forbidden) => {
                (StatusCode::FORBIDDEN, "forbidden", self.to_string())
            }
            Self::Auth(AuthError::NoKeys) => {
                (StatusCode::SERVICE_UNAVAILABLE, "no_keys", self.to_string())
            }
            Self::Auth(AuthError::Missing) => {
                (StatusCode::UNAUTHORIZED, "token_missing", self.to_string())
            }
            Self::Auth(AuthError::Expired) => {
                (StatusCode::UNAUTHORIZED, "token_expired", self.to_string())
            }
            Self::Auth(_) => (StatusCode::UNAUTHORIZED, "token_invalid", self.to_string()),
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found", self.to_string()),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", self.to_string())
            }
            Self::Query(QueryError::UnknownTable(_)) => {
                (StatusCode::NOT_FOUND, "table_not_found", self.to_string())
            }
            Self::Query(QueryError::NotASelect) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "not_a_select", self.to_string())
            }
            Self::Query(QueryError::Statement(_) | QueryError::Lake(_)) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "internal", internal.to_owned())
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code, detail) = self.parts();
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(error = %self, "request failed");
        }
        let mut response = problem(status, code, detail);
        let headers = response.headers_mut();
        match status {
            // RFC 6750, section 3.
            StatusCode::UNAUTHORIZED if code == "token_missing" => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::UNAUTHORIZED => {
                let invalid = HeaderValue::from_static("Bearer error=\"invalid_token\"");
                headers.insert(WWW_AUTHENTICATE, invalid);
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("10"));
            }
            _ => {}
        }
        response
    }
}
