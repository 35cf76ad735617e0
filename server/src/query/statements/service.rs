//! Takes statements, runs them, and gives their results, only to whoever asked and to admins.

use std::collections::HashMap;
use std::io::Cursor;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::Utc;
use deltalake::arrow::ipc::reader::StreamReader;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::error::StatementError;
use super::record::{Asked, Chunk, Outcome, Run, State};
use super::run::Attempt;
use super::shelf::Shelf;
use crate::auth::Principal;
use crate::lake::Lake;
use crate::ledger::DenyError;
use crate::query::format::Format;
use crate::query::gate::gate;
use crate::query::{Query, QueryError, Statement};

/// Attempts after which a statement has failed: it may be what ends the servers.
const ATTEMPTS: u32 = 3;

/// How statements are kept and run.
#[derive(Clone, Debug)]
pub struct StatementsRules {
    /// How long a statement and its result are kept.
    pub keep: Duration,
    /// Statements that this server runs at once.
    pub at_once: usize,
    /// Statements that wait on this server.
    pub queued: usize,
    /// Time without a sign of life after which another server takes a statement over.
    pub lease: Duration,
}

/// The statements of a lake.
#[derive(Clone, Debug)]
pub struct Statements(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub shelf: Shelf,
    pub query: Query,
    rules: StatementsRules,
    turns: Semaphore,
    /// What this server runs or will run, and how to cancel it.
    here: Mutex<HashMap<String, CancellationToken>>,
    /// Those that have ended, and until when they are kept: there is nothing more to look after.
    ended: Mutex<HashMap<String, i64>>,
}

/// A statement as it is now.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its id.
    pub id: String,
    /// Its text.
    pub sql: String,
    /// Who asked: the claim `sub`.
    pub principal: String,
    /// How far it is.
    pub state: State,
    /// Epoch milliseconds.
    pub created: i64,
    /// Epoch milliseconds of the beginning of the newest attempt.
    pub started: Option<i64>,
    /// Epoch milliseconds.
    pub finished: Option<i64>,
    /// Epoch milliseconds after which nothing of it is kept.
    pub expires: i64,
    /// Rows so far.
    pub rows: u64,
    /// The parts of the result so far.
    pub chunks: Vec<Chunk>,
    /// The version of each table that it reads.
    pub versions: Vec<(String, u64)>,
    /// Why it failed.
    pub error: Option<Outcome>,
    attempt: u32,
    denied: u64,
}

impl Statements {
    /// The statements of a lake.
    pub fn new(lake: Lake, query: Query, rules: StatementsRules) -> Self {
        let turns = Semaphore::new(rules.at_once);
        let shelf = Shelf::new(lake);
        Self(Arc::new(Inner {
            shelf,
            query,
            rules,
            turns,
            here: Mutex::default(),
            ended: Mutex::default(),
        }))
    }

    /// Takes a statement. With a key, the same question of the same person is asked once.
    ///
    /// # Errors
    /// What is wrong with its text at once, the rest when it runs.
    pub async fn ask(
        &self,
        principal: &Principal,
        statement: Statement,
        key: Option<&str>,
    ) -> Result<Kept, StatementError> {
        let inner = &self.0;
        let limits = inner.query.limits().of(principal);
        gate(&statement.sql, &statement.parameters, &limits.text)?;
        let waiting = inner.here().len();
        if waiting >= inner.rules.queued {
            return Err(QueryError::QueueFull { waiting }.into());
        }
        let now = Utc::now().timestamp_millis();
        let asked = Asked {
            sql: statement.sql,
            parameters: statement.parameters.values().to_vec(),
            principal: principal.subject.clone(),
            roles: principal.roles.iter().map(|role| role.name().to_owned()).collect(),
            created: now,
            expires: now.saturating_add(millis(inner.rules.keep)),
        };
        let id = match key {
            Some(key) => keyed_id(&principal.subject, key),
            None => Uuid::now_v7().simple().to_string(),
        };
        match inner.shelf.ask(&id, &asked).await? {
            true => self.start(id.clone(), asked, 0),
            false => {
                let first = inner.shelf.asked(&id).await?;
                match first {
                    Some(first) if first.same(&asked) && first.is_for(principal) => {}
                    _ => return Err(StatementError::KeyReused),
                }
            }
        }
        self.get(principal, &id).await
    }

    /// A statement as it is now.
    pub async fn get(&self, principal: &Principal, id: &str) -> Result<Kept, StatementError> {
        let unknown = || StatementError::Unknown(id.chars().take(64).collect());
        let plain =
            !id.is_empty() && id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric());
        if !plain {
            return Err(unknown());
        }
        let asked = self.0.shelf.asked(id).await?.ok_or_else(unknown)?;
        let now = Utc::now().timestamp_millis();
        if !asked.is_for(principal) || asked.expires < now {
            return Err(unknown());
        }
        let (newest, cancelled) = self.0.shelf.newest(id).await?;
        Ok(Kept::of(id, asked, newest, cancelled))
    }

    /// The same once it is done, or after some time.
    pub async fn wait(
        &self,
        principal: &Principal,
        id: &str,
        time: Duration,
    ) -> Result<Kept, StatementError> {
        let end = tokio::time::Instant::now() + time;
        let mut pause = Duration::from_millis(20);
        loop {
            let kept = self.get(principal, id).await?;
            if kept.state.is_final() || tokio::time::Instant::now() + pause > end {
                return Ok(kept);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }

    /// Stops a statement; one that is done stays as it is.
    pub async fn cancel(&self, principal: &Principal, id: &str) -> Result<Kept, StatementError> {
        let kept = self.get(principal, id).await?;
        if kept.state.is_final() {
            return Ok(kept);
        }
        self.0.shelf.cancel(id).await?;
        if let Some(cancel) = self.0.here().get(id) {
            cancel.cancel();
        }
        self.wait(principal, id, Duration::from_secs(2)).await
    }

    /// A chunk of a result in a format.
    pub async fn result(
        &self,
        kept: &Kept,
        chunk: usize,
        format: Format,
    ) -> Result<Vec<u8>, StatementError> {
        let id = kept.id.clone();
        if kept.state != State::Succeeded {
            return Err(StatementError::NotDone { id, state: kept.state.name() });
        }
        if chunk >= kept.chunks.len() {
            return Err(StatementError::NoChunk { id, chunks: kept.chunks.len() });
        }
        let reading = self.0.query.reading(kept.denied, &kept.versions);
        let given = |error| match error {
            DenyError::Changed => StatementError::Gone(kept.id.clone()),
            error => QueryError::from(error).into(),
        };
        reading.still().await.map_err(given)?;
        let bytes = self.0.shelf.chunk(&id, kept.attempt, chunk).await?;
        let failed = |error| StatementError::from(QueryError::of(error, 0));
        let reader = StreamReader::try_new(Cursor::new(bytes), None)
            .map_err(|error| failed(error.into()))?;
        let mut encoder = format.encoder(reader.schema()).map_err(failed)?;
        let mut out = Vec::new();
        let mut rows = 0;
        for batch in reader {
            let batch = batch.map_err(|error| failed(error.into()))?;
            rows += batch.num_rows() as u64;
            encoder.rows(&batch, &mut out).map_err(failed)?;
        }
        encoder.end(rows, &mut out).map_err(failed)?;
        reading.still().await.map_err(given)?;
        Ok(out)
    }

    /// Looks after all statements once: removes what has expired, takes over what another server
    /// left behind.
    pub async fn sweep(&self) -> Result<(), StatementError> {
        let inner = &self.0;
        let now = Utc::now().timestamp_millis();
        let ids = inner.shelf.ids().await?;
        // Another server may have removed some.
        inner.ended().retain(|id, _| ids.contains(id));
        for id in ids {
            let ended = inner.ended().get(&id).copied();
            if inner.here().contains_key(&id) || ended.is_some_and(|expires| expires >= now) {
                continue;
            }
            let Some(asked) = inner.shelf.asked(&id).await? else {
                inner.shelf.remove(&id).await?;
                continue;
            };
            if asked.expires < now {
                inner.shelf.remove(&id).await?;
                inner.ended().remove(&id);
                tracing::info!(statement = id, "expired");
                continue;
            }
            let (newest, _) = inner.shelf.newest(&id).await?;
            if newest.as_ref().is_some_and(|(_, run)| run.state.is_final()) {
                inner.ended().insert(id, asked.expires);
                continue;
            }
            let stale = |at: i64| now.saturating_sub(at) > millis(inner.rules.lease);
            let (attempt, lost) = match &newest {
                None => (0, stale(asked.created)),
                Some((attempt, run)) => {
                    (*attempt, !run.state.is_final() && (run.left || stale(run.seen)))
                }
            };
            if lost {
                tracing::info!(statement = id, attempt, "taken over");
                self.start(id, asked, attempt);
            }
        }
        Ok(())
    }

    /// Waits until this server runs none any more.
    pub async fn drained(&self) {
        while !self.0.here().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Sweeps until the server stops.
    pub async fn keep_sweeping(&self) {
        loop {
            if let Err(error) = self.sweep().await {
                tracing::warn!(%error, "statements were not looked after");
            }
            tokio::select! {
                () = tokio::time::sleep(self.0.rules.lease / 3) => {}
                () = self.0.query.stopping() => return,
            }
        }
    }

    /// Runs a statement in a task of its own.
    fn start(&self, id: String, asked: Asked, attempts: u32) {
        let cancel = CancellationToken::new();
        self.0.here().insert(id.clone(), cancel.clone());
        let inner = Arc::clone(&self.0);
        let begun = self.0.query.workers().spawn(async move {
            if let Err(error) = inner.run(&id, &asked, attempts, cancel).await {
                tracing::error!(statement = id, %error, "statement was not kept");
            }
            inner.here().remove(&id);
        });
        if begun.is_none() {
            tracing::warn!("a statement was not begun: the server is stopping");
        }
    }
}

impl Inner {
    async fn run(
        &self,
        id: &str,
        asked: &Asked,
        attempts: u32,
        cancel: CancellationToken,
    ) -> Result<(), StatementError> {
        let mut run = Run::begun(Utc::now().timestamp_millis());
        // The one after those that were seen: who saw fewer comes too late.
        let number = attempts + 1;
        if !self.shelf.claim(id, number, &run).await? {
            return Ok(());
        }
        // Its server ended before it heard of it.
        if attempts > 0 && self.shelf.is_cancelled(id).await? {
            run.state = State::Cancelled;
            run.finished = Some(run.started);
            return self.shelf.write(id, number, &run).await;
        }
        if attempts >= ATTEMPTS {
            run.state = State::Failed;
            run.finished = Some(run.started);
            let detail = "the servers that ran it ended before it did".to_owned();
            run.error = Some(Outcome { code: "internal".to_owned(), detail });
            return self.shelf.write(id, number, &run).await;
        }
        let pulse = self.rules.lease / 3;
        // A statement that waits for its turn is alive, too.
        let turn = loop {
            tokio::select! {
                turn = self.turns.acquire() => break turn,
                () = self.query.stopping() => {
                    run.left = true;
                    return self.shelf.write(id, number, &run).await;
                }
                () = cancel.cancelled() => {
                    run.state = State::Cancelled;
                    run.finished = Some(Utc::now().timestamp_millis());
                    return self.shelf.write(id, number, &run).await;
                }
                () = tokio::time::sleep(pulse) => {
                    if self.shelf.is_cancelled(id).await? {
                        cancel.cancel();
                    }
                    run.seen = Utc::now().timestamp_millis();
                    self.shelf.write(id, number, &run).await?;
                }
            }
        };
        let attempt = Attempt {
            shelf: &self.shelf,
            query: &self.query,
            id,
            asked,
            number,
            run,
            pulse,
            cancel,
            reading: None,
        };
        attempt.all().await?;
        drop(turn);
        Ok(())
    }

    fn ended(&self) -> std::sync::MutexGuard<'_, HashMap<String, i64>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn here(&self) -> std::sync::MutexGuard<'_, HashMap<String, CancellationToken>> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn of(id: &str, asked: Asked, newest: Option<(u32, Run)>, cancelled: bool) -> Self {
        let (attempt, run) = newest.unwrap_or_else(|| (0, Run::begun(asked.created)));
        // A cancelled statement whose server is gone is not begun again.
        let state = match run.state {
            State::Queued if cancelled => State::Cancelled,
            state => state,
        };
        let (versions, denied) = (run.reads(), run.denied);
        Self {
            id: id.to_owned(),
            sql: asked.sql,
            principal: asked.principal,
            state,
            created: asked.created,
            started: (attempt > 0).then_some(run.started),
            finished: run.finished,
            expires: asked.expires,
            rows: run.rows,
            chunks: run.chunks,
            versions,
            error: run.error,
            attempt,
            denied,
        }
    }
}

/// What whoever asked is told about an error.
pub(super) fn told(error: &StatementError) -> Outcome {
    match error {
        StatementError::Query(error) => {
            Outcome { code: error.code().name().to_owned(), detail: error.told() }
        }
        _ => Outcome { code: "internal".to_owned(), detail: QueryError::INTERNAL.to_owned() },
    }
}

/// The id of a question that somebody asks under a key.
fn keyed_id(subject: &str, key: &str) -> String {
    let mut digest = Sha256::new();
    digest.update((subject.len() as u64).to_le_bytes());
    digest.update(subject.as_bytes());
    digest.update(key.as_bytes());
    let digest = digest.finalize();
    hex::encode(digest.get(..16).unwrap_or(&digest))
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
