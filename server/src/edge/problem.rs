//! Every error is a problem (RFC 9457), also those that the router makes by itself, and names its
//! request.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};
use stedi_openapi::{Code, Problem};

use super::request_id::RequestId;

/// The media type (RFC 9457, section 3).
const MEDIA_TYPE: &str = "application/problem+json";
/// Bytes of a problem that somebody below made.
const PROBLEM_BYTES: usize = 256 * 1024;
/// Below this path errors have the words of the Delta Sharing protocol.
pub const SHARING: &str = "/sharing/";
/// Characters of what the router says of a body or query that it could not read.
const DETAIL_CHARS: usize = 300;
/// Seconds after which it may be better.
const LATER: &str = "10";

/// The `code` of a problem, for log and metrics.
#[derive(Clone, Debug)]
pub(super) struct Word(pub String);

/// An answer that is a problem: its stable word, which has its status, and the text for the caller.
pub fn problem(code: Code, detail: impl Into<String>) -> Response {
    answer(&Problem::of(code, detail))
}

/// An answer that is this problem.
pub fn answer(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, axum::Json(problem)).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    response
}

/// Makes problems of all errors that are none yet, and writes the request's id into each.
///
/// JSON that is no problem stays: it is the answer of a resource that has one for this status.
pub(super) async fn problems(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().cloned();
    let sharing = request.uri().path().starts_with(SHARING);
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
    named(response, id, sharing).await
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
    let code = word(parts.status);
    let detail = code.meaning();
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
    let (problem, body) = problem(code, detail).into_parts();
    parts.status = problem.status;
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.extend(problem.headers);
    Response::from_parts(parts, body)
}

/// The word for a status that somebody below gave without one.
fn word(status: StatusCode) -> Code {
    match status {
        StatusCode::UNAUTHORIZED => Code::TokenMissing,
        StatusCode::FORBIDDEN => Code::Forbidden,
        StatusCode::NOT_FOUND => Code::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => Code::MethodNotAllowed,
        StatusCode::NOT_ACCEPTABLE => Code::NotAcceptable,
        StatusCode::REQUEST_TIMEOUT => Code::BodyTimeout,
        StatusCode::PAYLOAD_TOO_LARGE => Code::BodyTooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Code::UnsupportedMediaType,
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Code::HeadersTooLarge,
        StatusCode::SERVICE_UNAVAILABLE => Code::Timeout,
        status if status.is_client_error() => Code::Malformed,
        _ => Code::Internal,
    }
}

/// The problem with its request's id, and its code for who logs and counts.
async fn named(response: Response, id: Option<RequestId>, sharing: bool) -> Response {
    let (mut parts, body) = response.into_parts();
    let bytes = to_bytes(body, PROBLEM_BYTES).await.unwrap_or_default();
    let Ok(Value::Object(mut problem)) = serde_json::from_slice(&bytes) else {
        return Response::from_parts(parts, Body::from(bytes));
    };
    if let Some(id) = id {
        problem.insert("request_id".to_owned(), Value::String(id.to_string()));
    }
    if let Some(Value::String(code)) = problem.get("code") {
        parts.extensions.insert(Word(code.clone()));
    }
    if sharing {
        problem = in_words_of_sharing(problem);
        parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    let bytes = Value::Object(problem).to_string();
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    Response::from_parts(parts, Body::from(bytes))
}

/// The same in other words.
fn in_words_of_sharing(mut problem: Map<String, Value>) -> Map<String, Value> {
    let words = [("code", "errorCode"), ("detail", "message"), ("request_id", "requestId")];
    let said = words.map(|(ours, theirs)| problem.remove(ours).map(|it| (theirs.to_owned(), it)));
    said.into_iter().flatten().collect()
}
