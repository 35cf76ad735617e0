//! The one mapping of errors to HTTP: RFC 9457, without paths, secrets or plan texts.

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use stedi_openapi::Problem;

use crate::auth::AuthError;
use crate::ledger::audit::AuditError;
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
    /// A parameter of the query string.
    #[error("{0}")]
    Parameter(String),
    /// The request cannot be recorded, or the audit not be read.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// A table or statement.
    #[error(transparent)]
    Query(#[from] QueryError),
}

/// The stable word of an error, as an extension of its response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Code(pub &'static str);

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
            Self::Parameter(_) => (StatusCode::BAD_REQUEST, "bad_parameter", self.to_string()),
            Self::Audit(AuditError::Lake(_) | AuditError::Records(_) | AuditError::Answer(_)) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "internal", internal.to_owned())
            }
            Self::Audit(_) => {
                let detail = "requests cannot be recorded at the moment, so none is answered";
                (StatusCode::SERVICE_UNAVAILABLE, "audit_unavailable", detail.to_owned())
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
        if status == StatusCode::INTERNAL_SERVER_ERROR || code == "audit_unavailable" {
            tracing::error!(error = %self, "request failed");
        }
        let problem = Problem {
            kind: "about:blank".to_owned(),
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            status: status.as_u16(),
            detail,
            code: code.to_owned(),
        };
        let mut response = (status, Json(problem)).into_response();
        response.extensions_mut().insert(Code(code));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
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
