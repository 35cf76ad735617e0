//! `/v1/sql`: one statement and its result.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, TRAILER, VARY};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use http_body_util::BodyExt;
use stedi_openapi::{SqlRequest, SqlResult};

use super::accept;
use super::authenticated::Authenticated;
use super::error::ApiError;
use super::origin::Origin;
use super::recorded::Recorded;
use super::result;
use super::state::ApiState;
use super::tables::READERS;
use crate::query::{Answer, Format, Parameters, Prepared, Statement, Totals};

/// Names the tables that a result was read from, each with its version.
const VERSIONS: HeaderName = HeaderName::from_static("stedi-table-versions");
/// Names a statement, in the audit too.
pub(super) const STATEMENT_ID: HeaderName = HeaderName::from_static("stedi-statement-id");

/// Run a statement
///
/// Answers one SELECT (or EXPLAIN of one) over the tables that the caller's roles see, each at one
/// version, which `Stedi-Table-Versions` names. The result is streamed in the format of `Accept`. A
/// result that is longer than a few hundred kilobytes may break after its first bytes: then the
/// last line of NDJSON is `{"error": …}` instead of `{"end": {"row_count": n}}`, and the other
/// formats end without their end and the connection without its last chunk; the trailer
/// `Stedi-Outcome: ok` tells success where the request has `TE: trailers`.
#[utoipa::path(
    post,
    path = "/v1/sql",
    operation_id = "sql",
    tag = "sql",
    params(
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of an earlier result: 304 if it would be the same."),
    ),
    request_body(content(
        (SqlRequest = "application/json"),
        (String = "text/plain", example = json!("SELECT 1 AS one")),
    ), description = "The statement, with values for its placeholders or as plain text."),
    responses(
        (status = OK, description = "The result.", content(
            (SqlResult = "application/json"),
            (String = "application/x-ndjson", example = json!("{\"one\":1}\n{\"end\":{\"row_count\":1}}\n")),
            (String = "text/csv", example = json!("one\n1\n")),
            (Vec<u8> = "application/vnd.apache.arrow.stream"),
            (Vec<u8> = "application/vnd.apache.parquet"),
        ), headers(
            ("Stedi-Table-Versions" = String, description = "The version of each table that was read: `name=version, …`."),
            ("Stedi-Statement-Id" = String, description = "Names the statement, in the audit too."),
            ("ETag" = String, description = "Changes when the result may; missing where it depends on more than the tables, such as the clock."),
        )),
        (status = NOT_MODIFIED, description = "The result would be the one that `If-None-Match` names."),
    ),
)]
pub(super) async fn sql(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    origin: Origin,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    principal.require(&READERS)?;
    let format = accept::format(&headers)?;
    let limit = state.app.query.limits().of(&principal).text.bytes;
    let statement = statement(&headers, body, limit).await?;
    let mut recorded = Recorded::new(&state, origin, &principal, &statement, format);
    let ready = match state.app.query.ready(&principal, &statement).await {
        Ok(ready) => ready,
        Err(error) => {
            recorded.failed(&error).await?;
            return Err(error.into());
        }
    };
    recorded.reads(&ready.prepared.versions);
    let mut answered = answered_headers(&ready.prepared, format, recorded.id())?;
    if let Some(tag) = answered.get(ETAG)
        && matches(&headers, tag)
    {
        recorded.done(Totals::default()).await?;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        answered.remove(CONTENT_TYPE);
        *response.headers_mut() = answered;
        return Ok(response);
    }
    let reading = ready.prepared.reading.clone();
    let answer = match ready.answer(format).await {
        Ok(answer) => answer,
        Err(error) => {
            recorded.failed(&error).await?;
            return Err(error.into());
        }
    };
    if let Answer::Begun(..) = answer {
        answered.insert(TRAILER, HeaderValue::from_static("stedi-outcome"));
    }
    let mut response = Response::new(result::body(answer, format, recorded, reading).await?);
    *response.headers_mut() = answered;
    Ok(response)
}

/// JSON around a statement may be longer than the statement: escapes, and values.
const AROUND_BYTES: usize = 64 * 1024;

/// The statement of a request.
pub(super) async fn statement(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<Statement, ApiError> {
    let kind = headers.get(CONTENT_TYPE).map(|kind| kind.to_str().unwrap_or_default());
    let kind = kind.unwrap_or("application/json").to_ascii_lowercase();
    let (kind, parameters) = kind.split_once(';').unwrap_or((&kind, ""));
    let charset = parameters.split(';').find_map(|part| part.trim().strip_prefix("charset="));
    if charset.is_some_and(|charset| !matches!(charset.trim_matches('"'), "utf-8" | "us-ascii")) {
        return Err(ApiError::UnsupportedMediaType);
    }
    let limit = limit.saturating_mul(2).saturating_add(AROUND_BYTES);
    let read = async || -> Result<bytes::Bytes, ApiError> {
        let bytes = http_body_util::Limited::new(body, limit).collect().await.map_err(|error| {
            match error.is::<http_body_util::LengthLimitError>() {
                true => ApiError::TooLarge(limit),
                false => ApiError::Malformed("the body broke off".to_owned()),
            }
        })?;
        Ok(bytes.to_bytes())
    };
    match kind.trim() {
        "application/json" => {
            let request: SqlRequest = serde_json::from_slice(&read().await?)
                .map_err(|error| ApiError::Malformed(format!("the body: {error}")))?;
            let parameters = Parameters::new(request.parameters);
            Ok(Statement { sql: request.sql, parameters })
        }
        "text/plain" => match String::from_utf8(read().await?.to_vec()) {
            Ok(sql) => Ok(Statement { sql, parameters: Parameters::default() }),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                Err(ApiError::Malformed(format!("the body is not UTF-8 at byte {at}")))
            }
        },
        _ => Err(ApiError::UnsupportedMediaType),
    }
}

/// What the head of an answer says of its statement.
fn answered_headers(prepared: &Prepared, format: Format, id: &str) -> Result<HeaderMap, ApiError> {
    let value = |text: String| {
        HeaderValue::from_str(&text).map_err(|_| ApiError::Malformed("a table's name".to_owned()))
    };
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    headers.insert(VARY, HeaderValue::from_static("accept, authorization"));
    headers.insert(STATEMENT_ID, value(id.to_owned())?);
    let versions = prepared.versions.iter().flat_map(|(table, versions)| {
        versions.iter().map(move |version| format!("{table}={version}"))
    });
    headers.insert(VERSIONS, value(versions.collect::<Vec<_>>().join(", "))?);
    if let Some(tag) = &prepared.tag {
        // To be kept by the caller only, and asked about each time.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        // Weak: without ORDER BY the same rows may come in another order.
        headers.insert(ETAG, value(format!("W/\"{tag}-{format:?}\""))?);
    }
    Ok(headers)
}

/// Whether `If-None-Match` names a tag (RFC 9110, section 13.1.2: weak comparison).
fn matches(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let Ok(tag) = tag.to_str().map(opaque) else { return false };
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.trim() == "*" || value.split(',').any(|given| opaque(given) == tag))
}
