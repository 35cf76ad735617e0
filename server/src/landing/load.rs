//! A load: the records of one content, committed once.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use stedi_openapi::LoadResult;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::decode::Decoder;
use super::decoding::{Decoded, Decoding, Tally};
use super::error::LandingError;
use super::tables::{SOURCE_FOLDER, landing_columns, rejected_columns};
use crate::lake::{Author, Change, Columns, Lake, LakeError, Mode, Table, Writer, Written, commit};
use crate::ledger::SubjectKey;
use crate::pipeline::{Pipeline, Source};

/// Batches that wait between decoding and writing.
const QUEUE: usize = 4;
/// How often a commit is tried again that others got in the way of.
const ATTEMPTS: usize = 5;

/// What landing takes.
#[derive(Clone, Copy, Debug)]
pub struct LandingLimits {
    /// Bytes of one record.
    pub record_bytes: usize,
    /// How far ahead of this server's clock a record's moment may be.
    pub ahead: Duration,
    /// Loads that hold a [`Slot`] at once.
    pub loads_at_once: usize,
    /// Bytes of an upload, decompressed.
    pub upload_bytes: u64,
}

/// What is loaded.
#[derive(Debug)]
pub struct Content<R> {
    /// Says in `<table>_rejected` where a record came from.
    pub name: String,
    /// Its bytes, compressed or not.
    pub reader: R,
    /// How many there may be, decompressed.
    pub most: Option<u64>,
}

/// A place among the loads that may run at once.
#[derive(Debug)]
pub struct Slot(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

/// Loads records into the landing tables of a lake.
#[derive(Debug)]
pub struct Landing {
    lake: Lake,
    pipeline: Arc<Pipeline>,
    key: SubjectKey,
    limits: LandingLimits,
    last_sequence: AtomicI64,
    slots: Arc<Semaphore>,
}

/// The landing table of a source and the table of its rejected records.
struct Tables {
    rows: Table,
    rejects: Table,
}

impl Landing {
    /// Landing of a lake's pipeline; `key` makes the pseudonyms.
    pub fn new(
        lake: Lake,
        pipeline: Arc<Pipeline>,
        key: SubjectKey,
        limits: LandingLimits,
    ) -> Self {
        let slots = Arc::new(Semaphore::new(limits.loads_at_once));
        Self { lake, pipeline, key, limits, last_sequence: AtomicI64::new(0), slots }
    }

    /// What it takes.
    pub fn limits(&self) -> &LandingLimits {
        &self.limits
    }

    /// Makes the tables that are not there yet.
    pub async fn create_tables(&self) -> Result<(), LandingError> {
        for source in &self.pipeline.sources {
            self.tables(source).await?;
        }
        Ok(())
    }

    /// A place among the loads that may run at once; for as long as it is held.
    ///
    /// # Errors
    /// [`LandingError::Busy`] if there is none.
    pub fn slot(&self) -> Result<Slot, LandingError> {
        let slot = Arc::clone(&self.slots).try_acquire_owned();
        slot.map(Slot).map_err(|_| LandingError::Busy)
    }

    /// Loads every record of a content into a landing table.
    ///
    /// The content's SHA-256 is the load's marker: a `txn` action of the commits to both tables
    /// (Delta protocol, "Transaction Identifiers"). Content whose marker is in the landing table
    /// was loaded before and is not loaded again. The history of both tables names the author. Rejects are committed first; the marker keeps
    /// them single when a load is repeated that was interrupted between the two commits.
    ///
    /// # Errors
    /// If the content cannot be read, is too large, or the lake cannot be written; nothing is loaded
    /// then.
    pub async fn load<R: Read + Send + 'static>(
        &self,
        table: &str,
        content: Content<R>,
        author: &Author,
    ) -> Result<LoadResult, LandingError> {
        let source = self
            .pipeline
            .source(table)
            .ok_or_else(|| LandingError::UnknownTable(table.to_owned()))?;
        let tables = self.tables(source).await?;
        let sequence = self.next_sequence();
        let (tally, rows, rejects) = self.write_files(source, &tables, sequence, content).await?;
        let marker = format!("load:{}", hex::encode(tally.digest));
        let load = Load { marker, sequence, author: author.clone() };
        let (table, duplicate) = match tally.received {
            0 => (tables.rows, false),
            _ => self.commit(tables, &load, rows, rejects).await?,
        };
        tracing::info!(
            table = table.name(),
            version = table.version(),
            received = tally.received,
            rejected = tally.rejected,
            duplicate,
            "load"
        );
        let result = result(&table, tally, duplicate);
        self.lake.metrics().load(&result);
        Ok(result)
    }

    /// Decodes on a thread of its own and writes data files as rows come.
    async fn write_files<R: Read + Send + 'static>(
        &self,
        source: &Source,
        tables: &Tables,
        sequence: i64,
        content: Content<R>,
    ) -> Result<(Tally, Written, Written), LandingError> {
        let Content { name, reader, most } = content;
        let columns = landing_columns(source);
        let (send, mut receive) = mpsc::channel(QUEUE);
        let decoder = Decoder::new(source, self.key.clone(), latest(self.limits.ahead));
        let decoding = Decoding::new(decoder, &columns, &name, sequence, send);
        let record_bytes = self.limits.record_bytes;
        let thread = tokio::task::spawn_blocking(move || decoding.run(reader, most, record_bytes));

        let mut rows = Writer::new(&tables.rows, &columns);
        let mut rejects = Writer::new(&tables.rejects, &rejected_columns());
        let mut outcome = Ok(());
        while let Some(decoded) = receive.recv().await {
            outcome = match decoded {
                Decoded::Rows(batch) => rows.write(&batch).await,
                Decoded::Rejects(batch) => rejects.write(&batch).await,
            };
            if outcome.is_err() {
                break;
            }
        }
        drop(receive);
        let tally =
            thread.await.unwrap_or_else(|_| Err(LandingError::Abandoned { name: name.clone() }));
        match (outcome, tally) {
            (Ok(()), Ok(tally)) => Ok((tally, rows.finish().await?, rejects.finish().await?)),
            (outcome, tally) => {
                rows.abandon().await;
                rejects.abandon().await;
                outcome?;
                tally.and_then(|_| Err(LandingError::Abandoned { name }))
            }
        }
    }

    /// Commits both tables; true if the content was there before.
    async fn commit(
        &self,
        mut tables: Tables,
        load: &Load,
        rows: Written,
        rejects: Written,
    ) -> Result<(Table, bool), LandingError> {
        for _ in 1..ATTEMPTS {
            match self.try_commit(&tables, load, &rows, &rejects).await {
                Err(LandingError::Lake(LakeError::Conflict { .. })) => {
                    tables = self.reopen(&tables).await?;
                }
                outcome => return self.settle(outcome, &tables, load, rows, rejects).await,
            }
        }
        let outcome = self.try_commit(&tables, load, &rows, &rejects).await;
        self.settle(outcome, &tables, load, rows, rejects).await
    }

    /// `None` if the content is there already.
    async fn try_commit(
        &self,
        tables: &Tables,
        load: &Load,
        rows: &Written,
        rejects: &Written,
    ) -> Result<Option<Table>, LandingError> {
        match tables.rows.txn(&load.marker).await? {
            None => {}
            // An earlier attempt of this very load, whose answer was lost.
            Some(sequence) if sequence == load.sequence => return Ok(Some(tables.rows.clone())),
            Some(_) => return Ok(None),
        }
        if rejects.rows > 0 && tables.rejects.txn(&load.marker).await?.is_none() {
            commit(&self.lake, SOURCE_FOLDER, &tables.rejects, load.change(rejects.clone()))
                .await?;
        }
        let table =
            commit(&self.lake, SOURCE_FOLDER, &tables.rows, load.change(rows.clone())).await?;
        Ok(Some(table))
    }

    /// Removes the files of a load that did not happen.
    async fn settle(
        &self,
        outcome: Result<Option<Table>, LandingError>,
        tables: &Tables,
        load: &Load,
        rows: Written,
        rejects: Written,
    ) -> Result<(Table, bool), LandingError> {
        match outcome {
            Ok(Some(table)) => Ok((table, false)),
            Ok(None) => {
                rows.discard(&tables.rows).await;
                // This load's rejects are committed where somebody else with the same content only
                // got in between the two commits: then they are the ones that both have.
                if tables.rejects.txn(&load.marker).await? != Some(load.sequence) {
                    rejects.discard(&tables.rejects).await;
                }
                Ok((tables.rows.clone(), true))
            }
            // Whether a failed commit is in the log after all may be unknown; its files stay for
            // maintenance to judge.
            Err(error) => Err(error),
        }
    }

    async fn tables(&self, source: &Source) -> Result<Tables, LandingError> {
        let columns = landing_columns(source);
        let rows = self.lake.table_or_create(SOURCE_FOLDER, &source.name, &columns).await?;
        if !rows.stores(&columns)? {
            return Err(LandingError::OtherColumns(source.name.clone()));
        }
        let rejected: Columns = rejected_columns();
        let rejects =
            self.lake.table_or_create(SOURCE_FOLDER, &source.rejected(), &rejected).await?;
        if !rejects.stores(&rejected)? {
            return Err(LandingError::OtherColumns(source.rejected()));
        }
        Ok(Tables { rows, rejects })
    }

    async fn reopen(&self, tables: &Tables) -> Result<Tables, LandingError> {
        let open = async |table: &Table| {
            let found = self.lake.table(SOURCE_FOLDER, table.name()).await?;
            found.ok_or_else(|| LandingError::UnknownTable(table.name().to_owned()))
        };
        Ok(Tables { rows: open(&tables.rows).await?, rejects: open(&tables.rejects).await? })
    }

    /// Microseconds since 1970 by this server's clock, later than those of any earlier load of this
    /// process: the order in which loads arrived. Between servers it is as good as their clocks.
    fn next_sequence(&self) -> i64 {
        let now = i64::try_from(since_epoch().as_micros()).unwrap_or(i64::MAX);
        let next = |last: i64| Some(now.max(last + 1));
        let last = self
            .last_sequence
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
            .unwrap_or_else(|last| last);
        now.max(last + 1)
    }
}

/// What is written into the history of both tables.
struct Load {
    marker: String,
    sequence: i64,
    author: Author,
}

impl Load {
    fn change(&self, written: Written) -> Change {
        Change {
            mode: Mode::Append,
            columns: None,
            written,
            // The sequence tells this load's commit from that of the same content by another.
            txns: vec![(self.marker.clone(), self.sequence)],
            author: self.author.clone(),
            info: json!({ "operation": "load", "marker": self.marker, "load_sequence": self.sequence }),
        }
    }
}

fn result(table: &Table, tally: Tally, duplicate: bool) -> LoadResult {
    let (accepted, rejected, duplicate) = match duplicate {
        true => (0, 0, tally.received),
        false => (tally.received - tally.rejected, tally.rejected, 0),
    };
    LoadResult {
        table: table.name().to_owned(),
        received: tally.received,
        accepted,
        rejected,
        duplicate,
        suppressed: 0,
        version: table.version(),
        rejects: if duplicate == 0 { tally.rejects } else { Vec::new() },
        revocations: Vec::new(),
        unknown_fields: tally.unknown_fields,
    }
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The latest moment that a record may have, in epoch milliseconds.
fn latest(ahead: Duration) -> i64 {
    i64::try_from(since_epoch().saturating_add(ahead).as_millis()).unwrap_or(i64::MAX)
}
