//! The one mapping of errors to HTTP: RFC 9457, without paths, secrets or plan texts.

use axum::Json;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use stedi_openapi::{Code, Problem};

use crate::auth::AuthError;
use crate::lake::LakeError;
use crate::landing::LandingError;
use crate::query::QueryError;

/// Why a request has no other answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    /// A parameter cannot be read.
    #[error("{0}")]
    Malformed(String),
    /// The caller is not let in.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// No such path.
    #[error("there is nothing at this path")]
    NotFound,
    /// The path is there, the method is not.
    #[error("this path does not take that method")]
    MethodNotAllowed,
    /// A page of the documentation cannot be made.
    #[error("documentation: {0}")]
    Document(String),
    /// A `Content-Type` that is not taken.
    #[error("the body may be {0}")]
    MediaType(String),
    /// A `Content-Encoding` that is not taken.
    #[error("the body may be gzip, zstd, or neither")]
    Encoding,
    /// A task of the request came to no end.
    #[error("task: {0}")]
    Task(String),
    /// A load.
    #[error(transparent)]
    Landing(#[from] LandingError),
    /// A table or statement.
    #[error(transparent)]
    Query(#[from] QueryError),
}

impl ApiError {
    /// The stable word, which has its status.
    fn code(&self) -> Code {
        match self {
            Self::Malformed(_) => Code::Malformed,
            Self::Auth(AuthError::Forbidden) => Code::Forbidden,
            Self::Auth(AuthError::NoKeys) => Code::NoKeys,
            Self::Auth(AuthError::Missing) => Code::TokenMissing,
            Self::Auth(AuthError::Expired) => Code::TokenExpired,
            Self::Auth(_) => Code::TokenInvalid,
            Self::NotFound => Code::NotFound,
            Self::MethodNotAllowed => Code::MethodNotAllowed,
            Self::MediaType(_) => Code::MediaTypeUnsupported,
            Self::Encoding => Code::EncodingUnsupported,
            Self::Landing(LandingError::UnknownTable(_)) => Code::TableNotFound,
            Self::Landing(LandingError::Read { .. }) => Code::BodyBroken,
            Self::Landing(LandingError::TooLarge { .. }) => Code::BodyTooLarge,
            Self::Landing(LandingError::Busy) => Code::Busy,
            Self::Landing(LandingError::Lake(LakeError::Conflict { .. })) => Code::Conflict,
            Self::Query(QueryError::UnknownTable(_)) => Code::TableNotFound,
            Self::Query(QueryError::NotASelect) => Code::NotASelect,
            Self::Query(QueryError::Statement(_) | QueryError::Lake(_))
            | Self::Landing(_)
            | Self::Document(_)
            | Self::Task(_) => Code::Internal,
        }
    }

    /// The text for the caller.
    fn detail(&self) -> String {
        match self.code() {
            Code::Internal => {
                "the request could not be carried out; the server's log says why".to_owned()
            }
            Code::BodyBroken => "the body broke off; nothing of it is loaded".to_owned(),
            _ => self.to_string(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let code = self.code();
        let status =
            StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(error = %self, "request failed");
        }
        let problem = Problem {
            kind: "about:blank".to_owned(),
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            status: status.as_u16(),
            detail: self.detail(),
            code: code.name().to_owned(),
        };
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match status {
            // RFC 6750, section 3.
            StatusCode::UNAUTHORIZED if code == Code::TokenMissing => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::UNAUTHORIZED => {
                let invalid = HeaderValue::from_static("Bearer error=\"invalid_token\"");
                headers.insert(WWW_AUTHENTICATE, invalid);
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                let seconds = if code == Code::Busy { "2" } else { "10" };
                headers.insert(RETRY_AFTER, HeaderValue::from_static(seconds));
            }
            // RFC 9110, section 15.5.16.
            StatusCode::UNSUPPORTED_MEDIA_TYPE if code == Code::EncodingUnsupported => {
                headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, zstd"));
            }
            _ => {}
        }
        response
    }
}
