//! The one mapping of errors to HTTP: RFC 9457, without paths, secrets or plan texts.

use axum::http::header::{ACCEPT_ENCODING, CONTENT_RANGE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use stedi_openapi::{Code, Problem};

use crate::auth::AuthError;
use crate::consent::ConsentError;
use crate::edge::answer;
use crate::lake::{LakeError, failure};
use crate::landing::LandingError;
use crate::ledger::LedgerError;
use crate::ledger::audit::AuditError;
use crate::maintenance::MaintenanceError;
use crate::promotion::PromotionError;
use crate::query::{QueryError, StatementError};
use crate::sharing::SharingError;
use crate::snapshot::SnapshotError;

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
    /// None of the formats that the caller takes.
    #[error("a result is JSON, NDJSON, CSV, an Arrow stream or Parquet; Accept names none of them")]
    NotAcceptable,
    /// A body that is larger than it may be.
    #[error("the body has more than {0} bytes")]
    TooLarge(usize),
    /// A body of another kind.
    #[error("a statement is sent as application/json or text/plain, in UTF-8")]
    UnsupportedMediaType,
    /// A page of the documentation cannot be made.
    #[error("documentation: {0}")]
    Document(String),
    /// A `Content-Type` that is not taken.
    #[error("the body may be {0}")]
    MediaType(String),
    /// A `Content-Encoding` that is not taken.
    #[error("the body may be gzip, zstd, or neither")]
    Encoding,
    /// Bytes that a file does not have.
    #[error("the file has {0} bytes, and none of those that are asked for")]
    NoSuchBytes(u64),
    /// A file that ends too early, or too late.
    #[error("the store gave another number of bytes than it said")]
    Broken,
    /// A task of the request came to no end.
    #[error("task: {0}")]
    Task(String),
    /// The request cannot be recorded, or the audit not be read.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// A promotion.
    #[error(transparent)]
    Promotion(#[from] PromotionError),
    /// A load.
    #[error(transparent)]
    Landing(#[from] LandingError),
    /// Maintenance.
    #[error(transparent)]
    Maintenance(#[from] MaintenanceError),
    /// Consent.
    #[error(transparent)]
    Consent(#[from] ConsentError),
    /// Long work.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The lake cannot be read.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// A table or statement.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// What is shared.
    #[error(transparent)]
    Sharing(#[from] SharingError),
    /// A statement that runs by itself.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// A snapshot.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

impl ApiError {
    /// The stable word, which has its status.
    pub(super) fn code(&self) -> Code {
        match self {
            Self::Malformed(_) => Code::Malformed,
            Self::Auth(AuthError::Forbidden) => Code::Forbidden,
            Self::Auth(AuthError::NoKeys) => Code::NoKeys,
            Self::Auth(AuthError::Missing) => Code::TokenMissing,
            Self::Auth(AuthError::Expired) => Code::TokenExpired,
            Self::Auth(_) => Code::TokenInvalid,
            Self::NotFound => Code::NotFound,
            Self::MethodNotAllowed => Code::MethodNotAllowed,
            Self::MediaType(_) => Code::UnsupportedMediaType,
            Self::Encoding => Code::EncodingUnsupported,
            Self::Landing(error) => error.code(),
            Self::Task(_) | Self::Broken => Code::Internal,
            Self::Lake(error) => failure(error),
            Self::NoSuchBytes(_) => Code::RangeNotSatisfiable,
            Self::NotAcceptable => Code::NotAcceptable,
            Self::TooLarge(_) => Code::BodyTooLarge,
            Self::UnsupportedMediaType => Code::UnsupportedMediaType,
            Self::Query(error) => error.code(),
            Self::Promotion(error) => error.code(),
            Self::Maintenance(error) => error.code(),
            Self::Ledger(error) => error.code(),
            Self::Consent(error) => error.code(),
            Self::Sharing(error) => error.code(),
            Self::Snapshot(error) => error.code(),
            Self::Statement(error) => match error {
                StatementError::Unknown(_) | StatementError::NoChunk { .. } => {
                    Code::StatementNotFound
                }
                StatementError::Gone(_) => Code::StatementNotFound,
                StatementError::NotDone { .. } => Code::NotDone,
                StatementError::KeyReused => Code::KeyReused,
                StatementError::Query(error) => error.code(),
                StatementError::Unreadable { .. } => Code::Internal,
            },
            Self::Audit(AuditError::Lake(_) | AuditError::Records(_) | AuditError::Answer(_)) => {
                Code::Internal
            }
            Self::Audit(_) => Code::AuditUnavailable,
            Self::Document(_) => Code::Internal,
        }
    }

    /// The body that says it.
    pub(super) fn problem(&self) -> Problem {
        let superseded_by = match self {
            Self::Snapshot(SnapshotError::Redacted { superseded_by }) => {
                Some(superseded_by.clone())
            }
            _ => None,
        };
        Problem { superseded_by, ..Problem::of(self.code(), self.detail()) }
    }

    /// The text for the caller.
    fn detail(&self) -> String {
        match self.code() {
            Code::Internal => QueryError::INTERNAL.to_owned(),
            Code::AuditUnavailable => {
                "requests cannot be recorded at the moment, so none is answered".to_owned()
            }
            code @ (Code::ConsentUnknown | Code::StorageFull) => code.meaning().to_owned(),
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
        if status == StatusCode::INTERNAL_SERVER_ERROR
            || matches!(code, Code::AuditUnavailable | Code::StorageFull)
        {
            tracing::error!(error = %self, "request failed");
        }
        let mut response = answer(&self.problem());
        response.extensions_mut().insert(code);
        let headers = response.headers_mut();
        // RFC 9110, section 15.5.17.
        if let Self::NoSuchBytes(bytes) = &self
            && let Ok(range) = HeaderValue::try_from(format!("bytes */{bytes}"))
        {
            headers.insert(CONTENT_RANGE, range);
        }
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
                let seconds = match code {
                    Code::ConsentChanged | Code::Redacting => "1",
                    Code::Busy | Code::ConsentUnknown => "2",
                    _ => "10",
                };
                headers.insert(RETRY_AFTER, HeaderValue::from_static(seconds));
            }
            // RFC 9110, section 15.5.16.
            StatusCode::UNSUPPORTED_MEDIA_TYPE if code == Code::EncodingUnsupported => {
                headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, zstd"));
            }
            StatusCode::TOO_MANY_REQUESTS => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}
