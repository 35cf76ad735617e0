//! `/v1/audit`: what was done, by whom, and whether that record is whole.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use chrono::DateTime;
use serde::Serialize;
use stedi_openapi::{
    AuditBreak, AuditChain, AuditJournalFault, AuditPage, AuditQuery, AuditRecord, AuditReport,
};

use super::authenticated::Authenticated;
use super::error::ApiError;
use super::extract::QueryOf;
use super::origin::Origin;
use super::state::ApiState;
use crate::auth::Principal;
use crate::ledger::audit::{Action, AuditError, End, Filter, Outcome, Redactable, Row};

/// Records of a page, unless another number is asked for.
const PAGE: usize = 100;
/// Records of a page, at most.
const LARGEST_PAGE: usize = 1000;

/// The audit
///
/// Who did what, when, with which rows, and how it ended; newest first. It is the table
/// `system.audit`, too.
#[utoipa::path(
    get,
    path = "/v1/audit",
    operation_id = "audit",
    tag = "audit",
    params(AuditQuery),
    responses((status = OK, description = "A page of records.", body = AuditPage)),
)]
pub(super) async fn list(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    origin: Origin,
    QueryOf(asked): QueryOf<AuditQuery>,
) -> Result<Response, ApiError> {
    principal.require(&[])?;
    let page = state.app.audit.find(&filter(asked)?).await?;
    let rows = page.records.len();
    let records = page.records.into_iter().map(record).collect();
    let page = AuditPage { records, next: page.next };
    answer(&state, origin, &principal, "GET /v1/audit", &page, rows).await
}

/// Is it whole?
///
/// Walks the chain of every server and names the first record of each that was changed, removed,
/// inserted or moved.
#[utoipa::path(
    get,
    path = "/v1/audit/verify",
    operation_id = "audit_verify",
    tag = "audit",
    responses((status = OK, description = "What was found.", body = AuditReport)),
)]
pub(super) async fn verify(
    State(state): State<ApiState>,
    Authenticated(principal): Authenticated,
    origin: Origin,
) -> Result<Response, ApiError> {
    principal.require(&[])?;
    let report = state.app.audit.verify().await?;
    let chains = report.chains.iter().map(|chain| AuditChain {
        chain: chain.chain.clone(),
        ok: chain.broken.is_none(),
        records: chain.records,
        redacted: chain.redacted,
        seq: chain.head.seq,
        hash: chain.head.hash.clone(),
        broken: chain
            .broken
            .clone()
            .map(|found| AuditBreak { seq: found.seq, reason: found.reason }),
    });
    let journal = report.journal.iter().cloned().map(|fault| AuditJournalFault {
        chain: fault.chain,
        file: fault.file,
        line: fault.line,
        reason: fault.reason,
    });
    let report = AuditReport {
        ok: report.is_sound(),
        version: report.version,
        chains: chains.collect(),
        journal: journal.collect(),
    };
    let rows = report.chains.len();
    answer(&state, origin, &principal, "GET /v1/audit/verify", &report, rows).await
}

/// Who reads the audit is recorded too, before the first byte leaves.
async fn answer(
    state: &ApiState,
    origin: Origin,
    principal: &Principal,
    resource: &str,
    body: &impl Serialize,
    rows: usize,
) -> Result<Response, ApiError> {
    let body = serde_json::to_vec(body).map_err(AuditError::from)?;
    let end = End { rows_out: Some(rows as u64), bytes_out: Some(body.len() as u64), ..End::ok() };
    state.app.audit.record(origin.draft(Action::Audit, resource, principal), end).await?;
    Ok(([(CONTENT_TYPE, "application/json")], body).into_response())
}

fn filter(asked: AuditQuery) -> Result<Filter, ApiError> {
    let wrong = |name: &str, expected: &str| ApiError::Malformed(format!("{name}: {expected}"));
    let word = |name: &str, words: Vec<&str>| wrong(name, &format!("one of {}", words.join(", ")));
    let action = match asked.action.as_deref() {
        None => None,
        Some(name) => Some(
            Action::parse(name)
                .ok_or_else(|| word("action", Action::ALL.map(Action::name).to_vec()))?,
        ),
    };
    let outcome = match asked.outcome.as_deref() {
        None => None,
        Some(name) => Some(
            Outcome::parse(name)
                .ok_or_else(|| word("outcome", Outcome::ALL.map(Outcome::name).to_vec()))?,
        ),
    };
    let limit = asked.limit.unwrap_or(PAGE);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        return Err(wrong("limit", &format!("1 to {LARGEST_PAGE}")));
    }
    Ok(Filter {
        from: asked.from.map(|text| moment("from", &text)).transpose()?,
        to: asked.to.map(|text| moment("to", &text)).transpose()?,
        principal: asked.principal,
        subject: asked.subject,
        action,
        outcome,
        table: asked.table,
        after: asked.after,
        limit,
    })
}

/// Milliseconds since 1970, from those or from RFC 3339.
fn moment(name: &str, text: &str) -> Result<i64, ApiError> {
    let expected = "milliseconds since 1970 or RFC 3339, like 2026-01-31T12:00:00Z";
    text.parse()
        .ok()
        .or_else(|| DateTime::parse_from_rfc3339(text).ok().map(|at| at.timestamp_millis()))
        .ok_or_else(|| ApiError::Malformed(format!("{name}: {expected}")))
}

fn record(row: Row) -> AuditRecord {
    let facts = row.facts;
    let redacted = [
        ("principal", &facts.principal),
        ("peer", &facts.peer),
        ("subject", &facts.subject),
        ("statement", &facts.statement),
    ]
    .into_iter()
    .filter(|(_, field): &(_, &Redactable)| field.is_redacted())
    .map(|(name, _)| name.to_owned())
    .collect();
    AuditRecord {
        id: facts.id,
        at: facts.at,
        chain: row.chain,
        seq: row.seq,
        hash: row.hash,
        request_id: facts.request_id,
        principal: facts.principal.value,
        roles: facts.roles,
        peer: facts.peer.value,
        action: facts.action,
        resource: facts.resource,
        subject: facts.subject.value,
        tables: facts
            .tables
            .and_then(|tables| serde_json::from_str(&tables).ok())
            .unwrap_or_default(),
        rows_in: facts.rows_in,
        rows_out: facts.rows_out,
        bytes_out: facts.bytes_out,
        times: facts.times,
        outcome: facts.outcome,
        code: facts.code,
        duration_ms: facts.duration_ms,
        statement: facts.statement.value,
        redacted,
    }
}
