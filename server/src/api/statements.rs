//! `/v1/statements`: statements that run by themselves.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, LINK, LOCATION, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use stedi_openapi::{
    ChunkInfo, ChunkQuery, Code, Problem, SqlRequest, SqlResult, StatementInfo, StatementPath,
    WorkState,
};

use super::authenticated::Authenticated;
use super::error::ApiError;
use super::extract::{PathOf, QueryOf};
use super::origin::Origin;
use super::state::ApiState;
use super::tables::READERS;
use super::{accept, idempotency, prefer, sql};
use crate::ledger::audit::{Action, Draft, End, Outcome};
use crate::query::{self, Kept};

/// Begin a statement
///
/// Takes what `/v1/sql` takes, answers at once, and keeps the result in the lake for a while. With
/// `Prefer: wait=N` the answer waits for the result for up to N seconds (60 at most).
#[utoipa::path(
    post,
    path = "/v1/statements",
    operation_id = "statement_begin",
    tag = "sql",
    params(
        ("Prefer" = Option<String>, Header, description = "`wait=N`: seconds to wait for the result."),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body is the same statement."),
    ),
    request_body(content(
        (SqlRequest = "application/json"),
        (String = "text/plain", example = json!("SELECT 1 AS one")),
    ), description = "The statement, with values for its placeholders or as plain text."),
    responses(
        (status = OK, description = "It has ended already.", body = StatementInfo, headers(
            ("Location" = String, description = "The statement."),
        )),
        (status = ACCEPTED, description = "It waits or runs.", body = StatementInfo, headers(
            ("Location" = String, description = "The statement."),
        )),
    ),
)]
pub(super) async fn ask(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    origin: Origin,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    principal.require(&READERS)?;
    let key = idempotency::key(&headers)?;
    let statements = &state.app.statements;
    let limit = state.app.query.limits().of(&principal).text.bytes;
    let statement = sql::statement(&headers, body, limit).await?;
    let audit = &state.app.audit;
    let draft = Draft {
        statement: Some(audit.redact(&statement.sql, statement.parameters.values())),
        ..origin.draft(Action::Statement, "POST /v1/statements", &principal)
    };
    let open = audit.prepare(draft);
    let mut kept = match statements.ask(&principal, statement, key).await {
        Ok(kept) => kept,
        Err(error) => {
            let error = ApiError::from(error);
            open.end(End::other(Outcome::Failed, error.code().name())).await?;
            return Err(error);
        }
    };
    open.end(End::ok()).await?;
    if let Some(wait) = prefer::wait(&headers) {
        kept = statements.wait(&principal, &kept.id, wait).await?;
    }
    let status = match kept.state.is_final() {
        true => StatusCode::OK,
        false => StatusCode::ACCEPTED,
    };
    let location = format!("/v1/statements/{}", kept.id);
    let mut response = (status, Json(info(kept))).into_response();
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// One statement
///
/// For whoever asked, and for admins.
#[utoipa::path(
    get,
    path = "/v1/statements/{id}",
    operation_id = "statement",
    tag = "sql",
    params(StatementPath),
    responses((status = OK, description = "The statement.", body = StatementInfo)),
)]
pub(super) async fn one(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<StatementPath>,
) -> Result<Json<StatementInfo>, ApiError> {
    principal.require(&READERS)?;
    Ok(Json(info(state.app.statements.get(&principal, &path.id).await?)))
}

/// Its result
///
/// One chunk in the format of `Accept`; `Link: …; rel="next"` leads to the next one.
#[utoipa::path(
    get,
    path = "/v1/statements/{id}/result",
    operation_id = "statement_result",
    tag = "sql",
    params(StatementPath, ChunkQuery),
    responses(
        (status = OK, description = "The chunk.", content(
            (SqlResult = "application/json"),
            (String = "application/x-ndjson"),
            (String = "text/csv"),
            (Vec<u8> = "application/vnd.apache.arrow.stream"),
            (Vec<u8> = "application/vnd.apache.parquet"),
        ), headers(("Link" = String, description = "The next chunk (RFC 8288)."))),
    ),
)]
pub(super) async fn result(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<StatementPath>,
    QueryOf(query): QueryOf<ChunkQuery>,
    origin: Origin,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    principal.require(&READERS)?;
    let format = accept::format(&headers)?;
    let statements = &state.app.statements;
    let kept = statements.get(&principal, &path.id).await?;
    let bytes = statements.result(&kept, query.chunk as usize, format).await?;
    let tables = kept.versions.iter().map(|(table, version)| (table.clone(), Some(*version)));
    let end = End {
        rows_out: kept.chunks.get(query.chunk as usize).map(|chunk| chunk.rows),
        bytes_out: Some(bytes.len() as u64),
        tables: Some(tables.collect()),
        ..End::ok()
    };
    let draft = origin.draft(Action::Result, "GET /v1/statements/{id}/result", &principal);
    state.app.audit.record(draft, end).await?;
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    headers.insert(VARY, HeaderValue::from_static("accept, authorization"));
    let next = u64::from(query.chunk) + 1;
    if next < kept.chunks.len() as u64 {
        let link = format!("</v1/statements/{}/result?chunk={next}>; rel=\"next\"", kept.id);
        if let Ok(link) = HeaderValue::from_str(&link) {
            headers.insert(LINK, link);
        }
    }
    Ok(response)
}

/// Cancel a statement
///
/// One that has ended stays as it is.
#[utoipa::path(
    post,
    path = "/v1/statements/{id}/cancel",
    operation_id = "statement_cancel",
    tag = "sql",
    params(StatementPath),
    responses((status = OK, description = "The statement.", body = StatementInfo)),
)]
pub(super) async fn cancel(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    PathOf(path): PathOf<StatementPath>,
    origin: Origin,
) -> Result<Json<StatementInfo>, ApiError> {
    principal.require(&READERS)?;
    let statements = &state.app.statements;
    let kept = statements.get(&principal, &path.id).await?;
    let draft = origin.draft(Action::Statement, "POST /v1/statements/{id}/cancel", &principal);
    state.app.audit.record(draft, End::ok()).await?;
    Ok(Json(info(statements.cancel(&principal, &kept.id).await?)))
}

fn info(kept: Kept) -> StatementInfo {
    let chunks = kept.chunks.iter().enumerate().map(|(chunk, part)| ChunkInfo {
        chunk: chunk as u64,
        row_offset: part.row_offset,
        row_count: part.rows,
        bytes: part.bytes,
    });
    StatementInfo {
        state: match kept.state {
            query::State::Queued => WorkState::Queued,
            query::State::Running => WorkState::Running,
            query::State::Succeeded => WorkState::Succeeded,
            query::State::Failed => WorkState::Failed,
            query::State::Cancelled => WorkState::Cancelled,
        },
        chunks: chunks.collect(),
        id: kept.id,
        sql: kept.sql,
        principal: kept.principal,
        created: kept.created,
        started: kept.started,
        finished: kept.finished,
        expires: kept.expires,
        row_count: kept.rows,
        versions: kept.versions.into_iter().collect(),
        error: kept.error.map(problem),
    }
}

fn problem(outcome: query::Outcome) -> Problem {
    let code = Code::parse(&outcome.code).unwrap_or(Code::Internal);
    Problem::of(code, outcome.detail)
}
