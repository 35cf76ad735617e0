//! Every error is a problem (RFC 9457), also those that the router makes by itself, and names its
//! request.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use stedi_openapi::Problem;

use super::request_id::RequestId;

/// The media type (RFC 9457, section 3).
const MEDIA_TYPE: &str = "application/problem+json";
/// Bytes of a problem that somebody below made.
const PROBLEM_BYTES: usize = 256 * 1024;
/// Characters of what the router says of a body or query that it could not read.
const DETAIL_CHARS: usize = 300;
/// Seconds after which it may be better.
const LATER: &str = "10";

/// The `code` of a problem, for log and metrics.
#[derive(Clone, Debug)]
pub(super) struct Code(pub String);

/// An answer that is a problem: its status, its stable word, and the text for the caller.
pub fn problem(status: StatusCode, code: &str, detail: impl Into<String>) -> Response {
    let problem = Problem {
        kind: "about:blank".to_owned(),
        title: status.canonical_reason().unwrap_or_default().to_owned(),
        status: status.as_u16(),
        detail: detail.into(),
        code: code.to_owned(),
        request_id: None,
    };
    let mut response = (status, axum::Json(problem)).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    response
}

/// Makes problems of all errors that are none yet, and writes the request's id into each.
///
/// JSON that is no problem stays: it is the answer of a resource that has one for this status.
pub(super) async fn problems(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().cloned();
    let response = next.run(request).await;
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let mut response = match Kind::of(&response) {
        Kind::Problem => response,
        Kind::Json => return response,
        Kind::Other => replaced(response).await,
    };
    if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        let later = HeaderValue::from_static(LATER);
        response.headers_mut().entry(RETRY_AFTER).or_insert(later);
    }
    named(response, id).await
}

enum Kind {
    Problem,
    Json,
    Other,
}

impl Kind {
    fn of(response: &Response) -> Self {
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or_default();
        match kind.split(';').next().unwrap_or_default().trim() {
            MEDIA_TYPE => Self::Problem,
            "application/json" => Self::Json,
            _ => Self::Other,
        }
    }
}

/// A problem in the place of an error in other words; its headers stay (`Allow` among them).
async fn replaced(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let text =
        parts.headers.get(CONTENT_TYPE).is_some_and(|kind| kind == "text/plain; charset=utf-8");
    let (code, detail) = words(parts.status);
    let detail = match parts.status {
        // What the router says of a body or query says where it is wrong.
        StatusCode::BAD_REQUEST
        | StatusCode::UNSUPPORTED_MEDIA_TYPE
        | StatusCode::UNPROCESSABLE_ENTITY
            if text =>
        {
            let said = to_bytes(body, PROBLEM_BYTES).await.unwrap_or_default();
            let said: String = String::from_utf8_lossy(&said).chars().take(DETAIL_CHARS).collect();
            if said.is_empty() { detail.to_owned() } else { said }
        }
        _ => detail.to_owned(),
    };
    let (problem, body) = problem(parts.status, code, detail).into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.extend(problem.headers);
    Response::from_parts(parts, body)
}

/// Stable word and text of a status.
fn words(status: StatusCode) -> (&'static str, &'static str) {
    match status {
        StatusCode::BAD_REQUEST => ("bad_request", "the request is malformed"),
        StatusCode::UNAUTHORIZED => ("token_missing", "a bearer token is required"),
        StatusCode::FORBIDDEN => ("forbidden", "the token's roles do not allow this"),
        StatusCode::NOT_FOUND => ("not_found", "there is nothing at this path"),
        StatusCode::METHOD_NOT_ALLOWED => {
            ("method_not_allowed", "this path does not take that method")
        }
        StatusCode::NOT_ACCEPTABLE => ("not_acceptable", "no accepted format can be given"),
        StatusCode::REQUEST_TIMEOUT => ("timeout", "the request took too long"),
        StatusCode::CONFLICT => ("conflict", "the request does not fit what is there"),
        StatusCode::PRECONDITION_FAILED => {
            ("precondition_failed", "a condition of the request does not hold")
        }
        StatusCode::PAYLOAD_TOO_LARGE => ("body_too_large", "the body is too large"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            ("unsupported_media_type", "the body's media type is not one that this path takes")
        }
        StatusCode::RANGE_NOT_SATISFIABLE => ("range", "the range is not within the content"),
        StatusCode::UNPROCESSABLE_ENTITY => ("unprocessable", "the body cannot be worked with"),
        StatusCode::TOO_MANY_REQUESTS => ("too_many_requests", "too many requests at this time"),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            ("headers_too_large", "the request's headers are too large")
        }
        StatusCode::SERVICE_UNAVAILABLE => ("unavailable", "not possible at the moment"),
        status if status.is_client_error() => ("bad_request", "the request cannot be answered"),
        _ => ("internal", "the request could not be carried out; the server's log says why"),
    }
}

/// The problem with its request's id, and its code for who logs and counts.
async fn named(response: Response, id: Option<RequestId>) -> Response {
    let (mut parts, body) = response.into_parts();
    let bytes = to_bytes(body, PROBLEM_BYTES).await.unwrap_or_default();
    let Ok(Value::Object(mut problem)) = serde_json::from_slice(&bytes) else {
        return Response::from_parts(parts, Body::from(bytes));
    };
    if let Some(id) = id {
        problem.insert("request_id".to_owned(), Value::String(id.to_string()));
    }
    if let Some(Value::String(code)) = problem.get("code") {
        parts.extensions.insert(Code(code.clone()));
    }
    let bytes = Value::Object(problem).to_string();
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    Response::from_parts(parts, Body::from(bytes))
}
