//! Runs a statement and encodes its rows, in a task of its own that hands over bytes as they are
//! taken. It ends when its limits are reached, when nobody takes its bytes any more, or when it is
//! told to.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::error::QueryError;
use super::explain;
use super::format::Format;
use super::limits::StatementLimits;
use super::prepare::{Prepared, Running};
use super::service::Ready;
use crate::lake::StopWhen;

/// Bytes that are handed over at a time, or somewhat more: a batch is encoded as a whole.
const PART_BYTES: usize = 128 * 1024;
/// How long rows wait for others to fill a part.
const PART_AGE: Duration = Duration::from_millis(500);
/// Parts that wait for whoever takes them.
const PARTS_AHEAD: usize = 2;
/// How long a statement has to say that its time is over.
const PAUSE: Duration = Duration::from_millis(100);
/// How long whoever asked has to hear of the end.
const GRACE: Duration = Duration::from_secs(5);

/// What a statement gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Rows of the result.
    pub rows: u64,
    /// Bytes of it, encoded.
    pub bytes: u64,
}

/// What follows the first bytes.
#[derive(Debug)]
pub enum Part {
    /// More bytes, and how many rows they are.
    Bytes(Bytes, u64),
    /// The end: what was given in all, and why it is not everything.
    End(Totals, Option<QueryError>),
}

/// An answer that has begun. A receiver that ends without [`Part::End`] was broken off.
#[derive(Debug)]
pub enum Answer {
    /// All of it.
    Whole(Bytes, Totals),
    /// Its first bytes, and how many rows they are; the rest follows.
    Begun(Bytes, u64, mpsc::Receiver<Part>),
}

/// When a statement ends whether it is done or not.
#[derive(Clone, Debug)]
pub struct Stop {
    /// The time by which it has been read.
    pub deadline: Instant,
    /// Its time in seconds, for the error.
    pub seconds: u64,
    /// Told by somebody.
    pub cancel: CancellationToken,
}

impl Stop {
    /// Whether its time is over, or somebody cancelled it.
    pub(super) fn is_over(&self) -> bool {
        self.reason().is_some()
    }

    /// Why it is over, if it is.
    pub(super) fn reason(&self) -> Option<QueryError> {
        if self.cancel.is_cancelled() {
            return Some(QueryError::Cancelled);
        }
        (Instant::now() >= self.deadline).then_some(QueryError::TimeLimit(self.seconds))
    }
}

/// Runs a statement. What goes wrong before the first bytes is the error of this call.
pub(super) async fn answer(ready: Ready, format: Format) -> Result<Answer, QueryError> {
    let (limits, workers) = (ready.limits(), ready.workers());
    let (prepared, stop, turn) = ready.into_parts();
    let (deadline, seconds) = (stop.deadline, stop.seconds);
    let reading = prepared.reading.clone();
    let (parts, mut taken) = mpsc::channel(PARTS_AHEAD);
    let (whole, at_once) = tokio::sync::oneshot::channel();
    let begun = workers.spawn(async move {
        let _turn = turn;
        let mut work =
            Work { parts: parts.clone(), begun: false, limits, totals: Totals::default(), told: 0 };
        let (told, reader) = (stop.clone(), parts.clone());
        let stops = StopWhen::new(move || told.is_over() || reader.is_closed());
        let outcome = tokio::select! {
            outcome = within(&stop, work.rows(prepared, format, stops)) => outcome,
            () = parts.closed() => Err(QueryError::Cancelled),
            () = stop.cancel.cancelled() => Err(QueryError::Cancelled),
            error = reading.ended() => Err(error.into()),
        };
        // A plan that was stopped from within says so in its own words.
        let outcome = outcome.map_err(|error| stop.reason().unwrap_or(error));
        let totals = work.totals;
        let told = async {
            match outcome {
                // Whoever asked may be gone; then nobody hears of the end.
                Ok(bytes) if !work.begun => drop(whole.send((bytes, totals))),
                Ok(bytes) => {
                    let _ = parts.send(Part::Bytes(bytes, totals.rows - work.told)).await;
                    let _ = parts.send(Part::End(totals, None)).await;
                }
                Err(error) => drop(parts.send(Part::End(totals, Some(error))).await),
            }
        };
        let _ = tokio::time::timeout(GRACE, told).await;
    });
    if begun.is_none() {
        return Err(QueryError::Stopping);
    }
    tokio::select! {
        biased;
        Ok((bytes, totals)) = at_once => Ok(Answer::Whole(bytes, totals)),
        first = taken.recv() => match first {
            Some(Part::Bytes(first, rows)) => Ok(Answer::Begun(first, rows, taken)),
            Some(Part::End(_, Some(error))) => Err(error),
            Some(Part::End(..)) | None => {
                Err(QueryError::Failed("the statement broke off".to_owned()))
            }
        },
        // It says so itself, unless it computes without a pause.
        () = tokio::time::sleep_until(deadline + PAUSE) => Err(QueryError::TimeLimit(seconds)),
    }
}

/// Ends work that takes too long.
async fn within<T>(
    stop: &Stop,
    work: impl Future<Output = Result<T, QueryError>>,
) -> Result<T, QueryError> {
    match tokio::time::timeout_at(stop.deadline, work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(QueryError::TimeLimit(stop.seconds)),
    }
}

struct Work {
    parts: mpsc::Sender<Part>,
    begun: bool,
    limits: StatementLimits,
    totals: Totals,
    /// Rows that were handed over.
    told: u64,
}

impl Work {
    /// Hands over all rows but those that are returned.
    async fn rows(
        &mut self,
        prepared: Prepared,
        format: Format,
        stops: StopWhen,
    ) -> Result<Bytes, QueryError> {
        let memory = self.limits.memory;
        let failed = |error| QueryError::of(error, memory);
        let Running { mut rows, explain, .. } = prepared.run(stops).await?;
        let mut encoder = format.encoder(rows.schema()).map_err(failed)?;
        let mut buffer = Vec::new();
        let mut since = Instant::now();
        while let Some(batch) = rows.next().await {
            let mut batch = batch.map_err(failed)?;
            if explain {
                batch = explain::without_paths(&batch).map_err(failed)?;
            }
            let count = self.totals.rows.saturating_add(batch.num_rows() as u64);
            if count > self.limits.rows {
                return Err(QueryError::RowLimit(self.limits.rows));
            }
            self.totals.rows = count;
            encoder.rows(&batch, &mut buffer).map_err(failed)?;
            let old = !buffer.is_empty() && since.elapsed() > PART_AGE;
            if buffer.len() >= PART_BYTES || old {
                self.hand_over(&mut buffer).await?;
                since = Instant::now();
            }
        }
        encoder.end(self.totals.rows, &mut buffer).map_err(failed)?;
        self.count(buffer.len())?;
        Ok(buffer.into())
    }

    async fn hand_over(&mut self, buffer: &mut Vec<u8>) -> Result<(), QueryError> {
        self.count(buffer.len())?;
        self.begun = true;
        let bytes = Bytes::from(std::mem::take(buffer));
        let rows = self.totals.rows - self.told;
        self.told = self.totals.rows;
        self.parts.send(Part::Bytes(bytes, rows)).await.map_err(|_| QueryError::Cancelled)
    }

    fn count(&mut self, bytes: usize) -> Result<(), QueryError> {
        let bytes = self.totals.bytes.saturating_add(bytes as u64);
        if bytes > self.limits.bytes {
            return Err(QueryError::ByteLimit(self.limits.bytes));
        }
        self.totals.bytes = bytes;
        Ok(())
    }
}
