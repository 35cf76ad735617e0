//! Runs one attempt of a statement: rows become chunks in the lake, a chunk at a time in memory.

use std::future::Future;
use std::time::Duration;

use chrono::Utc;
use deltalake::arrow::array::{Array, RecordBatch};
use deltalake::arrow::compute::concat_batches;
use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use super::error::StatementError;
use super::record::{Asked, Chunk, Run, State};
use super::shelf::Shelf;
use crate::lake::StopWhen;
use crate::ledger::Reading;
use crate::query::format::{Codec, Format};
use crate::query::prepare::Running;
use crate::query::{Query, QueryError};

/// Rows of a chunk.
const CHUNK_ROWS: usize = 100_000;
/// Bytes of a chunk in memory.
const CHUNK_BYTES: usize = 8 * 1024 * 1024;

/// One attempt of a statement, held by this server.
pub(super) struct Attempt<'a> {
    pub shelf: &'a Shelf,
    pub query: &'a Query,
    pub id: &'a str,
    pub asked: &'a Asked,
    pub number: u32,
    pub run: Run,
    /// How often it gives a sign of life, and looks whether it was cancelled.
    pub pulse: Duration,
    pub cancel: CancellationToken,
    /// Once it is known what it reads: may it go on?
    pub reading: Option<Reading>,
}

impl Attempt<'_> {
    /// Runs to the end, whatever it is, and returns the run as it was written last.
    pub async fn all(mut self) -> Result<Run, StatementError> {
        let outcome = self.rows().await;
        let now = Utc::now().timestamp_millis();
        self.run.seen = now;
        match outcome {
            Ok(()) => self.run.state = State::Succeeded,
            Err(_) if self.cancel.is_cancelled() => self.run.state = State::Cancelled,
            Err(_) if self.query.is_stopping() => self.run.left = true,
            Err(StatementError::Query(QueryError::Stopping)) => self.run.left = true,
            Err(StatementError::Query(QueryError::Cancelled)) => self.run.state = State::Cancelled,
            Err(error) => {
                self.run.state = State::Failed;
                self.run.error = Some(super::service::told(&error));
                if matches!(
                    error,
                    StatementError::Unreadable { .. }
                        | StatementError::Query(QueryError::Engine(_) | QueryError::Lake(_))
                ) {
                    tracing::error!(statement = self.id, %error, "statement failed");
                }
            }
        }
        if self.run.state.is_final() {
            self.run.finished = Some(now);
        }
        self.shelf.write(self.id, self.number, &self.run).await?;
        Ok(self.run)
    }

    async fn rows(&mut self) -> Result<(), StatementError> {
        let principal = self.asked.principal();
        let limits = self.query.limits().of(&principal);
        let statement = self.asked.statement();
        let ready = loop {
            let ready = self.query.ready_within(
                &principal,
                &statement,
                limits.async_time,
                self.cancel.child_token(),
            );
            match self.stopped_or(ready).await? {
                // It has time to wait for its turn; that is what it is for.
                Err(QueryError::NoTurn(_) | QueryError::QueueFull { .. }) => self.pulse().await?,
                ready => break ready?,
            }
        };
        self.run.state = State::Running;
        self.run.versions = ready.prepared.versions.clone();
        self.run.denied = ready.prepared.reading.seq();
        self.reading = Some(ready.prepared.reading.clone());
        self.say().await?;
        let schema = std::sync::Arc::clone(&ready.prepared.schema);
        let (prepared, stop, _turn) = ready.into_parts();
        let failed = |error| QueryError::of(error, limits.memory);
        let (over, cancel, query) = (stop.clone(), self.cancel.clone(), self.query.clone());
        let stops =
            StopWhen::new(move || over.is_over() || cancel.is_cancelled() || query.is_stopping());
        let Running { mut rows, explain, .. } = self.stopped_or(prepared.run(stops)).await??;
        let mut held: Vec<RecordBatch> = Vec::new();
        let (mut held_rows, mut held_bytes, mut bytes) = (0, 0, 0u64);
        loop {
            let next = tokio::time::timeout_at(stop.deadline, rows.next());
            let batch = match self.stopped_or(next).await? {
                Err(_) => return Err(QueryError::TimeLimit(stop.seconds).into()),
                Ok(None) => break,
                // A plan that was stopped from within says so in its own words.
                Ok(Some(batch)) => {
                    batch.map_err(|error| stop.reason().unwrap_or_else(|| failed(error)))?
                }
            };
            let batch = match explain {
                true => crate::query::explain::without_paths(&batch).map_err(failed)?,
                false => batch,
            };
            held_rows += batch.num_rows();
            held_bytes += bytes_of(&batch);
            held.push(batch);
            if self.run.rows.saturating_add(held_rows as u64) > limits.rows {
                return Err(QueryError::RowLimit(limits.rows).into());
            }
            if held_rows >= CHUNK_ROWS || held_bytes >= CHUNK_BYTES {
                bytes += self.chunk(&schema, std::mem::take(&mut held)).await?;
                (held_rows, held_bytes) = (0, 0);
                within(bytes, limits.bytes)?;
            }
        }
        // There is always a first chunk: it has the columns.
        if held_rows > 0 || self.run.chunks.is_empty() {
            bytes += self.chunk(&schema, held).await?;
        }
        within(bytes, limits.bytes)?;
        match &self.reading {
            Some(reading) => Ok(reading.still().await.map_err(QueryError::from)?),
            None => Ok(()),
        }
    }

    /// Keeps a chunk; returns its bytes.
    async fn chunk(
        &mut self,
        schema: &deltalake::arrow::datatypes::SchemaRef,
        held: Vec<RecordBatch>,
    ) -> Result<u64, StatementError> {
        let failed = |error| StatementError::from(QueryError::of(error, 0));
        let schema = held.first().map_or_else(|| schema.clone(), RecordBatch::schema);
        let batch = concat_batches(&schema, &held).map_err(|error| failed(error.into()))?;
        let mut encoder = Format::Arrow(Codec::Lz4).encoder(schema).map_err(failed)?;
        let mut bytes = Vec::new();
        encoder.rows(&batch, &mut bytes).map_err(failed)?;
        encoder.end(batch.num_rows() as u64, &mut bytes).map_err(failed)?;
        let size = bytes.len() as u64;
        let number = self.run.chunks.len();
        self.shelf.write_chunk(self.id, self.number, number, bytes).await?;
        let rows = batch.num_rows() as u64;
        self.run.chunks.push(Chunk { row_offset: self.run.rows, rows, bytes: size });
        self.run.rows += rows;
        self.pulse().await?;
        Ok(size)
    }

    /// Waits for work, with signs of life meanwhile.
    async fn stopped_or<T>(&mut self, work: impl Future<Output = T>) -> Result<T, StatementError> {
        tokio::pin!(work);
        let reading = self.reading.clone();
        let ended = async {
            match &reading {
                Some(reading) => reading.ended().await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(ended);
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                () = self.cancel.cancelled() => return Err(QueryError::Cancelled.into()),
                () = self.query.stopping() => return Err(QueryError::Stopping.into()),
                error = &mut ended => return Err(QueryError::from(error).into()),
                () = tokio::time::sleep(self.pulse) => self.pulse().await?,
            }
        }
    }

    /// Says that it is alive and how far it is, if it was not said lately.
    async fn pulse(&mut self) -> Result<(), StatementError> {
        let now = Utc::now().timestamp_millis();
        let since = Duration::from_millis(now.saturating_sub(self.run.seen).unsigned_abs());
        if since < self.pulse && self.run.seen != self.run.started {
            return Ok(());
        }
        self.say().await
    }

    /// Says how far it is, and hears whether it was cancelled.
    async fn say(&mut self) -> Result<(), StatementError> {
        let now = Utc::now().timestamp_millis();
        if self.shelf.is_cancelled(self.id).await? {
            return Err(QueryError::Cancelled.into());
        }
        self.run.seen = now.max(self.run.started + 1);
        self.shelf.write(self.id, self.number, &self.run).await
    }
}

fn within(bytes: u64, limit: u64) -> Result<(), QueryError> {
    match bytes > limit {
        true => Err(QueryError::ByteLimit(limit)),
        false => Ok(()),
    }
}

/// Bytes of a batch, without what its buffers hold of others.
fn bytes_of(batch: &RecordBatch) -> usize {
    let columns = batch.columns().iter();
    columns.map(|column| column.to_data().get_slice_memory_size().unwrap_or_default()).sum()
}
