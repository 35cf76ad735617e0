//! Appends what the journal holds to the table, each record once.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use serde_json::json;
use tokio::sync::{mpsc, oneshot, watch};

use super::chain::Head;
use super::columns::AUDIT_TABLE;
use super::error::AuditError;
use super::folder::Folder;
use super::journal::{self, Entry, Segment};
use super::record::Row;
use super::table;
use super::writer::Message;
use crate::lake::{Author, Change, Lake, LakeError, Mode, Table, Writer, Written, commit};
use crate::pipeline::Zone;

/// The longest time between two attempts while the lake does not take records.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How often a segment is tried again that others got in the way of.
const ATTEMPTS: usize = 3;

/// Somebody who waits for a flush.
pub(super) type Waiting = oneshot::Sender<Result<(), AuditError>>;

/// When a flush is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    /// How long a record waits.
    pub after: Duration,
    /// How many wait.
    pub rows: i64,
}

/// Brings records from the journal of one chain into the table.
pub(super) struct Flusher {
    pub lake: Lake,
    pub folder: Arc<Folder>,
    pub journal: Sender<Message>,
    /// The table as this left it; `None` where it has to be opened.
    pub table: Option<Table>,
    /// The place of the newest record in the table.
    pub flushed: i64,
}

impl Flusher {
    /// Flushes when it is due or asked for, until nobody can ask any more. What is in the journal
    /// then is for the next start.
    pub async fn run(
        mut self,
        mut requests: mpsc::Receiver<Waiting>,
        mut progress: watch::Receiver<i64>,
        due: Due,
    ) {
        let mut pause = Duration::ZERO;
        loop {
            let flushed = self.flushed;
            let now_due = async {
                wait_beyond(&mut progress, flushed).await;
                let enough = async {
                    wait_beyond(&mut progress, flushed.saturating_add(due.rows - 1)).await;
                    tokio::time::sleep(pause).await;
                };
                tokio::select! {
                    () = tokio::time::sleep(due.after.max(pause)) => {}
                    () = enough => {}
                }
            };
            tokio::select! {
                request = requests.recv() => {
                    let Some(waiting) = request else { return };
                    // Whoever asked may have gone; then nobody needs to know.
                    let _ = waiting.send(self.flush().await);
                }
                () = now_due => match self.flush().await {
                    Ok(()) => pause = Duration::ZERO,
                    Err(error) => {
                        pause = (pause * 2).clamp(Duration::from_secs(1), LONGEST_PAUSE);
                        let seconds = pause.as_secs();
                        tracing::warn!(%error, seconds, "audit records wait in the journal");
                    }
                }
            }
        }
    }

    /// Brings everything that is in the journal now into the table.
    pub async fn flush(&mut self) -> Result<(), AuditError> {
        let (reply, ended) = oneshot::channel();
        self.journal.send(Message::Rotate(reply)).map_err(|_| AuditError::Closed)?;
        for number in ended.await.map_err(|_| AuditError::Closed)? {
            self.try_segment(number).await?;
        }
        Ok(())
    }

    async fn try_segment(&mut self, number: u64) -> Result<(), AuditError> {
        for _ in 1..ATTEMPTS {
            match self.segment(number).await {
                Err(AuditError::Lake(LakeError::Conflict { .. })) => self.table = None,
                outcome => return self.settle(outcome),
            }
        }
        let outcome = self.segment(number).await;
        self.settle(outcome)
    }

    /// After an error it is for the log to say what is in the table.
    fn settle(&mut self, outcome: Result<(), AuditError>) -> Result<(), AuditError> {
        if outcome.is_err() {
            self.table = None;
        }
        outcome
    }

    async fn segment(&mut self, number: u64) -> Result<(), AuditError> {
        let file = self.folder.segment(number);
        let path = file.clone();
        let read = tokio::task::spawn_blocking(move || journal::read(&path)).await;
        let segment = match read.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(segment) => segment,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tracing::error!(segment = number, "a segment of the audit's journal is gone");
                Segment::default()
            }
            Err(error) => return Err(AuditError::file(file)(error)),
        };
        if !segment.faults.is_empty() || segment.torn > 0 {
            let lines = segment.faults.len();
            tracing::error!(segment = number, lines, "the audit's journal is corrupt; it is kept");
            self.folder.keep(number).map_err(AuditError::file(&file))?;
        }
        let rows = segment.entries.into_iter().filter_map(|entry| match entry {
            Entry::Row(row) => Some(row),
            Entry::Begin(_) => None,
        });
        self.append(rows.collect()).await?;
        let (reply, trimmed) = oneshot::channel();
        self.journal.send(Message::Trim(number, reply)).map_err(|_| AuditError::Closed)?;
        let trimmed = trimmed.await.map_err(|_| AuditError::Closed)?;
        trimmed.map_err(AuditError::file(self.folder.path()))
    }

    /// Appends those records of a segment that are not in the table yet.
    async fn append(&mut self, mut rows: Vec<Row>) -> Result<(), AuditError> {
        // A purge may have cut the log meanwhile: a commit behind an older version would fail, and leave
        // a file behind of which nobody knows that it is not committed.
        let known = match self.table.take() {
            Some(_) => self.lake.current(Zone::System.name(), AUDIT_TABLE).await?,
            None => None,
        };
        let table = match known {
            Some(table) => table,
            None => {
                let table = table::open(&self.lake).await?;
                let app_id = table::app_id(self.folder.chain());
                self.flushed = table.txn(&app_id).await?.unwrap_or_default();
                table
            }
        };
        let newest = rows.last().map(|row| Head { seq: row.seq, hash: row.hash.clone() });
        rows.retain(|row| row.seq > self.flushed);
        let Some(last) = rows.last().map(|row| row.seq) else {
            self.table = Some(table);
            // The last server may have ended between its commit and this.
            return match newest.filter(|newest| newest.seq == self.flushed) {
                Some(head) => self.keep(&head),
                None => Ok(()),
            };
        };
        let mut writer = Writer::new(&table, &super::columns::stored());
        writer.write(&table::batch(&rows)?).await?;
        let written = writer.finish().await?;
        let change = Change {
            mode: Mode::Append,
            columns: None,
            written: written.clone(),
            txns: vec![(table::app_id(self.folder.chain()), last)],
            author: Author::new("service"),
            info: json!({ "operation": "audit", "chain": self.folder.chain(), "seq": last }),
        };
        match commit(&self.lake, Zone::System.name(), &table, change).await {
            Ok(table) => self.table = Some(table),
            Err(error) => {
                self.discard(&error, written, last).await;
                return Err(error.into());
            }
        }
        self.flushed = last;
        newest.map_or(Ok(()), |head| self.keep(&head))
    }

    /// Removes the files of a commit that somebody else was in the way of, once the log says that it is
    /// not in it: nobody else commits for this chain. Left, they would hold up a purge of the table.
    async fn discard(&self, error: &LakeError, written: Written, last: i64) {
        if !matches!(error, LakeError::Conflict { .. }) {
            return;
        }
        if let Ok(Some(table)) = self.lake.table(Zone::System.name(), AUDIT_TABLE).await
            && let Ok(flushed) = table.txn(&table::app_id(self.folder.chain())).await
            && flushed.unwrap_or_default() < last
        {
            written.discard(&table).await;
        }
    }

    fn keep(&self, head: &Head) -> Result<(), AuditError> {
        self.folder.write_head(head).map_err(AuditError::file(self.folder.path()))
    }
}

/// Waits until the newest record's place is beyond this one; for ever where there will be no more.
async fn wait_beyond(progress: &mut watch::Receiver<i64>, place: i64) {
    if progress.wait_for(|newest| *newest > place).await.is_err() {
        std::future::pending::<()>().await;
    }
}
