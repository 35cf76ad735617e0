//! An action that is under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::Instant;

use tokio::sync::oneshot;

use super::error::AuditError;
use super::record::{Draft, End, Facts, Outcome, Versions};
use super::writer::Message;

/// What has left so far; clones count together.
#[derive(Clone, Debug, Default)]
pub struct Counts(Arc<(AtomicU64, AtomicU64)>);

impl Counts {
    /// Counts rows and bytes that leave.
    pub fn add(&self, rows: u64, bytes: u64) {
        self.0.0.fetch_add(rows, Ordering::Relaxed);
        self.0.1.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Rows and bytes so far.
    pub fn now(&self) -> (u64, u64) {
        (self.0.0.load(Ordering::Relaxed), self.0.1.load(Ordering::Relaxed))
    }
}

/// An action that is under way. Nothing of its answer may leave before [`Open::leave`] or
/// [`Open::end`] has returned `Ok`. An answer that is complete before its first byte leaves needs
/// [`Open::end`] alone: its record is written and synced once.
///
/// Dropped without an end it becomes a record with outcome `cancelled` and with what was counted:
/// that is what happens when the caller hangs up. If the server is killed instead, the record says
/// `interrupted`.
#[derive(Debug)]
pub struct Open {
    journal: Sender<Message>,
    facts: Option<Box<Facts>>,
    started: Instant,
    counts: Counts,
    begun: bool,
}

impl Open {
    pub(super) fn new(journal: Sender<Message>, draft: Draft) -> Self {
        Self {
            journal,
            facts: Some(Box::new(Facts::begun(draft))),
            started: Instant::now(),
            counts: Counts::default(),
            begun: false,
        }
    }

    /// The record's id.
    pub fn id(&self) -> &str {
        self.facts.as_ref().map_or("", |facts| &facts.id)
    }

    /// Counts what leaves.
    pub fn counts(&self) -> Counts {
        self.counts.clone()
    }

    /// Says which tables it reads, once that is known; before anything leaves.
    pub fn reads(&mut self, tables: &Versions) {
        if let Some(facts) = &mut self.facts {
            facts.tables = super::record::json(tables);
        }
    }

    /// Makes sure that there will be a record, whatever happens. To be called before the first byte
    /// leaves; further calls do nothing.
    ///
    /// # Errors
    /// If it cannot be recorded: nothing may leave then, and there will be no record.
    pub async fn leave(&mut self) -> Result<(), AuditError> {
        let facts = match &self.facts {
            Some(facts) if !self.begun => facts.clone(),
            _ => return Ok(()),
        };
        let (ack, written) = oneshot::channel();
        self.journal.send(Message::Begin(facts, ack)).map_err(|_| AuditError::Closed)?;
        // From here on: whoever stops waiting may find it written all the same.
        self.begun = true;
        let outcome = written.await.unwrap_or(Err(AuditError::Closed));
        if outcome.is_err() {
            self.facts = None;
        }
        outcome
    }

    /// Ends it. The record is safe when this returns.
    ///
    /// # Errors
    /// If it cannot be recorded now. Where nothing has left, nothing may leave, and there will be
    /// no record; else it will be written when the disk takes it again.
    pub async fn end(mut self, end: End) -> Result<(), AuditError> {
        let (ack, written) = oneshot::channel();
        self.send(end, Some(ack))?;
        written.await.unwrap_or(Err(AuditError::Closed))
    }

    fn send(&mut self, mut end: End, ack: Option<super::writer::Ack>) -> Result<(), AuditError> {
        let Some(mut facts) = self.facts.take() else { return Ok(()) };
        let (rows, bytes) = self.counts.now();
        end.rows_out = end.rows_out.or((rows > 0).then_some(rows));
        end.bytes_out = end.bytes_out.or((bytes > 0).then_some(bytes));
        let millis = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        facts.end(end, millis);
        let message = Message::End { facts, required: self.begun, ack };
        self.journal.send(message).map_err(|_| AuditError::Closed)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.facts.is_some()
            && self.send(End::other(Outcome::Cancelled, "cancelled"), None).is_err()
        {
            tracing::error!("an action ended after the audit's journal");
        }
    }
}
