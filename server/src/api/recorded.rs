//! A statement as the audit and the metrics see it, from its beginning to its end, whichever that is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use stedi_openapi::Code;

use super::error::ApiError;
use super::origin::Origin;
use super::state::ApiState;
use crate::auth::{Principal, Role};
use crate::ledger::audit::{Action, AuditError, Draft, End, Open, Outcome};
use crate::metrics::{Metrics, Outcome as Counted};
use crate::query::{Format, QueryError, Statement, Totals};

/// A statement whose end will be recorded. Dropped, it was cancelled: the caller hung up.
#[derive(Debug)]
pub(super) struct Recorded {
    open: Option<Open>,
    metrics: Metrics,
    role: Role,
    format: Format,
    started: Instant,
    ended: bool,
}

impl Recorded {
    /// Begins the record of a statement.
    pub fn new(
        state: &ApiState,
        origin: Origin,
        principal: &Principal,
        statement: &Statement,
        format: Format,
    ) -> Self {
        let redacted = state.app.audit.redact(&statement.sql, statement.parameters.values());
        let draft = origin.draft(Action::Sql, "POST /v1/sql", principal);
        Self::of(state, Draft { statement: Some(redacted), ..draft }, principal, format)
    }

    /// Begins the record of rows of a snapshot, which a statement gives.
    pub fn of_snapshot(
        state: &ApiState,
        origin: Origin,
        principal: &Principal,
        sql: &str,
        format: Format,
    ) -> Self {
        let redacted = state.app.audit.redact(sql, &[]);
        let draft = origin.draft(Action::Snapshot, "GET /v1/snapshots/{id}/data", principal);
        Self::of(state, Draft { statement: Some(redacted), ..draft }, principal, format)
    }

    fn of(state: &ApiState, draft: Draft, principal: &Principal, format: Format) -> Self {
        Self {
            open: Some(state.app.audit.prepare(draft)),
            metrics: state.app.metrics.clone(),
            role: principal.roles.iter().copied().max().unwrap_or(Role::Ingest),
            format,
            started: Instant::now(),
            ended: false,
        }
    }

    /// Its id in the audit.
    pub fn id(&self) -> &str {
        self.open.as_ref().map_or("", Open::id)
    }

    /// Says which versions it reads.
    pub fn reads(&mut self, versions: &BTreeMap<String, BTreeSet<u64>>) {
        // Of a table at several moments the newest.
        let newest = versions.iter().map(|(table, all)| (table.clone(), all.last().copied()));
        if let Some(open) = &mut self.open {
            open.reads(&newest.collect());
        }
    }

    /// To be called before the first byte leaves.
    pub async fn leave(&mut self) -> Result<(), ApiError> {
        match &mut self.open {
            Some(open) => Ok(open.leave().await?),
            None => Ok(()),
        }
    }

    /// Counts what leaves.
    pub fn left(&self, rows: u64, bytes: usize) {
        if let Some(open) = &self.open {
            open.counts().add(rows, bytes as u64);
        }
        self.metrics.result(self.format.name(), rows, bytes as u64);
    }

    /// Ended as asked.
    pub async fn done(mut self, totals: Totals) -> Result<(), AuditError> {
        self.count(Counted::Succeeded);
        let end = End { rows_out: Some(totals.rows), bytes_out: Some(totals.bytes), ..End::ok() };
        self.end(end).await
    }

    /// Ended otherwise.
    pub async fn failed(mut self, error: &QueryError) -> Result<(), AuditError> {
        let code = error.code();
        self.count(match error {
            QueryError::TimeLimit(_) => Counted::TimedOut,
            QueryError::RowLimit(_) | QueryError::ByteLimit(_) | QueryError::OutOfMemory(_) => {
                Counted::Limited
            }
            QueryError::Cancelled | QueryError::Stopping | QueryError::Consent(_) => {
                Counted::Cancelled
            }
            QueryError::Failed(_) | QueryError::Engine(_) | QueryError::Lake(_) => Counted::Failed,
            _ => Counted::Refused,
        });
        let outcome = match code {
            Code::Cancelled | Code::Stopping => Outcome::Cancelled,
            _ => Outcome::Failed,
        };
        self.end(End::other(outcome, code.name())).await
    }

    fn count(&mut self, outcome: Counted) {
        self.ended = true;
        self.metrics.statement(self.role, outcome, self.started.elapsed());
    }

    async fn end(&mut self, end: End) -> Result<(), AuditError> {
        match self.open.take() {
            Some(open) => open.end(end).await,
            None => Ok(()),
        }
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        if !self.ended {
            self.count(Counted::Cancelled);
        }
    }
}
