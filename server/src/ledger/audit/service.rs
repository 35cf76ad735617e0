//! The audit of one lake, as the rest of the server uses it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::chain::Head;
use super::denied::{Denial, Denials, Kind};
use super::error::AuditError;
use super::flush::{Due, Flusher, Waiting};
use super::folder::{self, Folder};
use super::literals::{Literals, Redacted};
use super::open::Open;
use super::record::{Draft, End, Facts};
use super::recover::{Recovered, recover};
use super::table;
use super::writer::{self, Limits, Message};
use crate::key_file;
use crate::lake::{Lake, Table};

/// Flushes that may be asked for at the same time.
const REQUESTS: usize = 64;

/// How records are kept.
#[derive(Clone, Copy, Debug)]
pub struct AuditLimits {
    /// Whether the journal is synced to the disk before an answer leaves.
    pub sync: bool,
    /// How long a record waits before it is appended to the table.
    pub flush: Duration,
    /// How many records wait.
    pub batch_rows: u64,
    /// Bytes that the journal may hold while the lake takes no records.
    pub journal_bytes: u64,
    /// For how long denied requests of one kind are counted together.
    pub denied_window: Duration,
}

/// The audit of one lake; clones are the same audit.
///
/// Dropped without [`Audit::close`] it leaves records in its journal for the next start.
#[derive(Clone, Debug)]
pub struct Audit {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    lake: Lake,
    root: PathBuf,
    chain: String,
    literals: Literals,
    journal: Sender<Message>,
    flushes: mpsc::Sender<Waiting>,
    denials: Denials,
    denied_window: Duration,
}

impl Audit {
    /// Opens the audit of a lake: reads back the journals in the state folder that no process uses,
    /// appends what is not in the table yet, and goes on with one of their chains or a new one.
    /// `names` are kept in statements (see [`Literals`]).
    ///
    /// # Errors
    /// If the key, the journal or the table cannot be read or made.
    pub async fn open(
        lake: &Lake,
        state_dir: &Path,
        limits: AuditLimits,
        names: impl IntoIterator<Item = String>,
    ) -> Result<Self, AuditError> {
        let key_file = state_dir.join("audit.key");
        let key = key_file::read_or_make(&key_file).map_err(AuditError::file(key_file))?;
        let table = table::open(lake).await?;
        let root = folder::of_lake(state_dir, &lake.location().to_string());
        let in_root = || AuditError::file(root.clone());
        std::fs::create_dir_all(&root).map_err(in_root())?;
        let mut own = None;
        for folder in Folder::free(&root).map_err(in_root())? {
            let recovered = recover(&folder)?;
            let logged = table.txn(&table::app_id(folder.chain())).await?.unwrap_or_default();
            let sound = sound(folder.chain(), &recovered, logged);
            let use_it = own.is_none() && sound == Soundness::Whole;
            let unfinished = !recovered.segments.is_empty() || !recovered.interrupted.is_empty();
            if !use_it && (!unfinished || sound == Soundness::Older) {
                continue;
            }
            let mut started = start(lake, folder, recovered, limits)?;
            if unfinished && let Err(error) = started.flusher.flush().await {
                tracing::warn!(%error, "audit records of the last run wait in the journal");
            }
            if use_it {
                own = Some(started);
            }
        }
        let started = match own {
            Some(started) => started,
            None => {
                let folder = Folder::make(&root).map_err(in_root())?;
                let recovered = recover(&folder)?;
                start(lake, folder, recovered, limits)?
            }
        };
        let (flushes, requests) = mpsc::channel(REQUESTS);
        let inner = Inner {
            lake: lake.clone(),
            root,
            chain: started.flusher.folder.chain().to_owned(),
            literals: Literals::new(&key, names),
            journal: started.flusher.journal.clone(),
            flushes,
            denials: Denials::default(),
            denied_window: limits.denied_window,
        };
        let due = Due {
            after: limits.flush,
            rows: i64::try_from(limits.batch_rows.max(1)).unwrap_or(i64::MAX),
        };
        tokio::spawn(started.flusher.run(requests, started.progress, due));
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The statement as it may be recorded: without its literals and parameters.
    pub fn redact(&self, sql: &str, parameters: &[Value]) -> Redacted {
        self.inner.literals.statement(sql, parameters)
    }

    /// Begins an action. Nothing is written yet; see [`Open`].
    pub fn prepare(&self, draft: Draft) -> Open {
        Open::new(self.inner.journal.clone(), draft)
    }

    /// Begins an action that changes something, or whose answer leaves at once.
    ///
    /// # Errors
    /// If it cannot be recorded: it must not happen then.
    pub async fn begin(&self, draft: Draft) -> Result<Open, AuditError> {
        let mut open = self.prepare(draft);
        open.leave().await?;
        Ok(open)
    }

    /// Records an action of which nothing has left yet.
    ///
    /// # Errors
    /// If it cannot be recorded: nothing may leave then.
    pub async fn record(&self, draft: Draft, end: End) -> Result<(), AuditError> {
        self.prepare(draft).end(end).await
    }

    /// Records a request that is not let in, before it is answered, or counts it where the same was
    /// recorded a moment ago.
    ///
    /// # Errors
    /// If it cannot be recorded.
    pub async fn denied(&self, denial: Denial) -> Result<(), AuditError> {
        let Some((kind, draft)) = self.inner.denials.admit(denial) else { return Ok(()) };
        if let Err(error) = self.record(draft, kind.end()).await {
            self.inner.denials.close(&kind);
            return Err(error);
        }
        self.end_later(kind);
        Ok(())
    }

    /// Ends the window of a kind of denied requests when its time is over.
    fn end_later(&self, kind: Kind) {
        let weak = Arc::downgrade(&self.inner);
        let window = self.inner.denied_window;
        tokio::spawn(async move {
            tokio::time::sleep(window).await;
            if let Some(inner) = weak.upgrade()
                && let Some(facts) = inner.denials.close(&kind)
            {
                inner.counted(facts);
            }
        });
    }

    /// Brings everything recorded so far into the table.
    ///
    /// # Errors
    /// If the lake does not take it; it stays in the journal then.
    pub async fn flush(&self) -> Result<(), AuditError> {
        for facts in self.inner.denials.take() {
            self.inner.counted(facts);
        }
        let (reply, flushed) = oneshot::channel();
        self.inner.flushes.send(reply).await.map_err(|_| AuditError::Closed)?;
        flushed.await.unwrap_or(Err(AuditError::Closed))
    }

    /// Flushes for the last time. What the lake does not take in time stays in the journal for the
    /// next start.
    pub async fn close(&self, patience: Duration) {
        match tokio::time::timeout(patience, self.flush()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "audit records stay in the journal"),
            Err(_) => tracing::warn!("audit records stay in the journal: the lake is slow"),
        }
    }

    /// The newest version of the table, with everything that was recorded before.
    ///
    /// # Errors
    /// If the lake cannot be read or written.
    pub async fn table(&self) -> Result<Table, AuditError> {
        self.flush().await?;
        table::open(&self.inner.lake).await
    }

    /// The chain that this server writes.
    pub fn chain(&self) -> &str {
        &self.inner.chain
    }

    pub(super) fn literals(&self) -> &Literals {
        &self.inner.literals
    }

    pub(super) fn lake(&self) -> &Lake {
        &self.inner.lake
    }

    pub(super) fn root(&self) -> &Path {
        &self.inner.root
    }
}

impl Inner {
    /// Records what was counted. Where the journal does not take it, it waits there.
    fn counted(&self, facts: Facts) {
        let message = Message::End { facts: Box::new(facts), required: true, ack: None };
        if self.journal.send(message).is_err() {
            tracing::error!("denied requests were counted after the audit's journal");
        }
    }
}

/// Whether a chain in the state folder and the table agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Soundness {
    /// They do.
    Whole,
    /// The table lacks records that were in it.
    Shorter,
    /// The state folder is older than the table.
    Older,
}

fn sound(chain: &str, recovered: &Recovered, logged: i64) -> Soundness {
    let Recovered { head: Head { seq, .. }, kept, .. } = recovered;
    if logged < kept.seq {
        tracing::error!(chain, kept = kept.seq, logged, "the lake has lost records of the audit");
        Soundness::Shorter
    } else if logged > *seq {
        tracing::error!(chain, seq, logged, "the state folder is older than the audit's table");
        Soundness::Older
    } else {
        Soundness::Whole
    }
}

struct Started {
    flusher: Flusher,
    progress: tokio::sync::watch::Receiver<i64>,
}

fn start(
    lake: &Lake,
    folder: Folder,
    recovered: Recovered,
    limits: AuditLimits,
) -> Result<Started, AuditError> {
    let folder = Arc::new(folder);
    let path = folder.path().to_owned();
    let limits = Limits { sync: limits.sync, bytes: limits.journal_bytes };
    // What is in the table is asked for by the first flush; until then nothing beyond the kept head
    // is taken to be.
    let flushed = recovered.kept.seq;
    let (journal, progress) =
        writer::start(Arc::clone(&folder), recovered, limits).map_err(AuditError::file(path))?;
    let flusher = Flusher { lake: lake.clone(), folder, journal, table: None, flushed };
    Ok(Started { flusher, progress })
}
