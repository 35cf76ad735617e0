//! A load: the records of one content, committed once.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stedi_openapi::LoadResult;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::decode::Decoder;
use super::decoding::{Decoded, Decoding, Tally};
use super::error::LandingError;
use super::keep_out::Files;
use super::mark::Marks;
use super::memory::{LoadKey, Memory, Sent};
use super::once::{Load, Outcome, Tables, version_of};
use super::suppress::Guard;
use super::tables::{SOURCE_FOLDER, landing_columns, rejected_columns};
use crate::lake::{Author, Columns, Lake, Table, Writer};
use crate::ledger::{SubjectKey, Suppression, SuppressionList};
use crate::pipeline::{LOAD_SEQUENCE, Pipeline, Source};

/// Batches that wait between decoding and writing.
const QUEUE: usize = 4;

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
    /// How long the log of a new landing table names the contents that were loaded.
    pub markers: Duration,
    /// How long a key is remembered.
    pub keys: Duration,
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
    pub(super) lake: Lake,
    pub(super) pipeline: Arc<Pipeline>,
    key: SubjectKey,
    pub(super) suppression: Suppression,
    limits: LandingLimits,
    pub(super) marks: Marks,
    pub(super) memory: Memory,
    last_sequence: AtomicI64,
    slots: Arc<Semaphore>,
}

impl Landing {
    /// Landing of a lake's pipeline; `key` makes the pseudonyms, and `suppression` says whose records
    /// are kept out.
    pub fn new(
        lake: Lake,
        pipeline: Arc<Pipeline>,
        key: SubjectKey,
        suppression: Suppression,
        limits: LandingLimits,
    ) -> Self {
        let slots = Arc::new(Semaphore::new(limits.loads_at_once));
        let marks = Marks::new(&key);
        let memory = Memory::new(lake.clone(), marks.clone());
        let last_sequence = AtomicI64::new(0);
        Self { lake, pipeline, key, suppression, limits, marks, memory, last_sequence, slots }
    }

    /// What it takes.
    pub fn limits(&self) -> &LandingLimits {
        &self.limits
    }

    /// The source of this name.
    ///
    /// # Errors
    /// [`LandingError::UnknownTable`], [`LandingError::NotLoaded`].
    pub fn source(&self, table: &str) -> Result<&Source, LandingError> {
        self.pipeline.source(table).ok_or_else(|| match self.pipeline.is_revocations(table) {
            true => LandingError::NotLoaded(table.to_owned()),
            false => LandingError::UnknownTable(table.to_owned()),
        })
    }

    /// Makes the tables that are not there yet.
    pub async fn create_tables(&self) -> Result<(), LandingError> {
        for source in &self.pipeline.sources {
            self.tables(source).await?;
        }
        if let Some(consent) = &self.pipeline.consent {
            self.revocations(consent).await?;
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
    /// The content marks the load: content that was loaded before is not loaded again. With a key, the
    /// same content gives the first answer again. The history of both tables names the author. Records
    /// of people who were erased are kept out, also if the erasure comes while this runs.
    ///
    /// # Errors
    /// If the content cannot be read, is too large, came with a key of something else, or the lake
    /// cannot be written; nothing is loaded then.
    pub async fn load<R: Read + Send + 'static>(
        &self,
        table: &str,
        content: Content<R>,
        author: &Author,
        key: Option<&LoadKey>,
    ) -> Result<LoadResult, LandingError> {
        let source = self.source(table)?;
        let tables = self.tables(source).await?;
        // Behind the tables: who is erased from now on raises their fence.
        let list = self.suppression.at_least(tables.fence()?).await?;
        let sequence = self.next_sequence(&tables.rows)?;
        let mut files = self.write_files(source, &tables, list, sequence, content).await?;
        let digest = self.marks.of("content", &[&files.tally.digest]);
        let mut sent = None;
        if let Some(key) = key {
            let new =
                Sent { table: table.to_owned(), digest: digest.clone(), sequence, answer: None };
            let first = self.memory.sent(key, &new).await;
            let same = |first: &Sent| first.table == new.table && first.digest == new.digest;
            match first {
                Ok(Sent { answer: None, .. }) if first.as_ref().is_ok_and(same) => {}
                _ => {
                    files.discard(&tables).await;
                    let first = first?;
                    let answer = first.answer.clone().filter(|_| same(&first));
                    return answer.ok_or(LandingError::KeyReused);
                }
            }
            sent = Some((key, first?));
        }
        let load = Load { digest, sequence, author: author.clone() };
        let (table, version, duplicate) = match files.tally.received {
            0 => (tables.rows.clone(), tables.rows.version(), false),
            _ => match load.commit(self, source, tables, &mut files).await? {
                Outcome::Loaded(table) => (table.clone(), table.version(), false),
                // What came first with the key, and whose answer was lost.
                Outcome::Before(table, Some(before))
                    if sent.as_ref().is_some_and(|(_, sent)| sent.sequence == before) =>
                {
                    let version = version_of(&table, before).await?;
                    (table, version, false)
                }
                Outcome::Before(table, _) => (table.clone(), table.version(), true),
            },
        };
        let tally = files.tally;
        tracing::info!(
            table = table.name(),
            version,
            received = tally.received,
            rejected = tally.rejected,
            suppressed = tally.suppressed,
            duplicate,
            "load"
        );
        let result = result(table.name(), version, tally, duplicate);
        if let Some((key, sent)) = sent {
            self.memory.answer(key, sent, &result).await;
        }
        self.lake.metrics().load(&result);
        Ok(result)
    }

    /// Forgets keys whose time is over.
    ///
    /// # Errors
    /// If the lake cannot be read or written.
    pub async fn sweep(&self) -> Result<(), LandingError> {
        let keep = since_epoch().saturating_sub(self.limits.keys);
        self.memory.forget_keys(i64::try_from(keep.as_millis()).unwrap_or_default()).await
    }

    /// Decodes on a thread of its own and writes data files as rows come.
    async fn write_files<R: Read + Send + 'static>(
        &self,
        source: &Source,
        tables: &Tables,
        list: Arc<SuppressionList>,
        sequence: i64,
        content: Content<R>,
    ) -> Result<Files, LandingError> {
        let Content { name, reader, most } = content;
        let columns = landing_columns(source);
        let (send, mut receive) = mpsc::channel(QUEUE);
        let guard = Guard::new(Arc::clone(&list));
        let decoder = Decoder::new(source, self.key.clone(), guard, latest(self.limits.ahead));
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
            (Ok(()), Ok(tally)) => {
                let (rows, rejects) = (rows.finish().await?, rejects.finish().await?);
                Ok(Files { rows, rejects, tally, list })
            }
            (outcome, tally) => {
                rows.abandon().await;
                rejects.abandon().await;
                outcome?;
                tally.and_then(|_| Err(LandingError::Abandoned { name }))
            }
        }
    }

    async fn tables(&self, source: &Source) -> Result<Tables, LandingError> {
        let open = async |name: &str, columns: &Columns| match self
            .lake
            .current(SOURCE_FOLDER, name)
            .await?
        {
            Some(table) => Ok(table),
            None => self.lake.table_or_create(SOURCE_FOLDER, name, columns).await,
        };
        let markers = Some(self.limits.markers);
        let columns = Columns { txn_retention: markers, ..landing_columns(source) };
        let rows = open(&source.name, &columns).await?;
        if !rows.stores(&columns)? {
            return Err(LandingError::OtherColumns(source.name.clone()));
        }
        let rejected = Columns { txn_retention: markers, ..rejected_columns() };
        let rejects = open(&source.rejected(), &rejected).await?;
        if !rejects.stores(&rejected)? {
            return Err(LandingError::OtherColumns(source.rejected()));
        }
        Ok(Tables { rows, rejects })
    }

    /// Microseconds since 1970 by this server's clock, but later than every load that is in the
    /// table and every earlier one of this process: the order in which loads arrived. Of loads at the
    /// same moment on several servers either may be first.
    pub(super) fn next_sequence(&self, rows: &Table) -> Result<i64, LandingError> {
        let now = i64::try_from(since_epoch().as_micros()).unwrap_or(i64::MAX);
        // Whole numbers up to 2^53 are exact in a float; microseconds are until the year 2255.
        let newest = rows.files()?.bounds(LOAD_SEQUENCE).map_or(0, |(_, newest)| newest as i64);
        let now = now.max(newest + 1);
        let next = |last: i64| Some(now.max(last + 1));
        let last = self
            .last_sequence
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
            .unwrap_or_else(|last| last);
        Ok(now.max(last + 1))
    }
}

fn result(table: &str, version: u64, tally: Tally, duplicate: bool) -> LoadResult {
    let Tally { received, rejected, suppressed, .. } = tally;
    let (accepted, rejected, suppressed, duplicate) = match duplicate {
        true => (0, 0, 0, received),
        false => (received - rejected - suppressed, rejected, suppressed, 0),
    };
    LoadResult {
        table: table.to_owned(),
        received,
        accepted,
        rejected,
        duplicate,
        suppressed,
        version,
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
