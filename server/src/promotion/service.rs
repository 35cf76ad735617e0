//! Takes orders for runs and says how far they are. Runs are objects of the lake, so that any server
//! knows them, and one takes over what another leaves behind.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::Utc;
use stedi_openapi::{
    PromotedTable, PromotionCause, PromotionInfo, PromotionList, TableState, WorkState,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::asked::{Asked, FOLDER, Shelf};
use super::error::PromotionError;
use super::run::Promotion;
use super::schedule::Schedule;
use crate::lake::Lake;
use crate::ledger::audit::Audit;
use crate::ledger::{Attempts, Leases};

/// How runs are kept and when they begin by themselves.
#[derive(Clone, Debug)]
pub struct PromotionRules {
    /// Runs that may wait.
    pub queued: usize,
    /// Time without a sign of life after which another server takes a run over.
    pub lease: Duration,
    /// How long a run that has ended is kept, and a key remembered. Rows of `system.runs` stay.
    pub keep: Duration,
    /// When runs begin by themselves.
    pub schedule: Option<Schedule>,
    /// How long after a load a run begins; `None` for never. Loads meanwhile are in the same run.
    pub after_load: Option<Duration>,
}

/// Who asks for a run.
#[derive(Clone, Debug)]
pub struct Asker {
    /// A token's `sub`, or `service`.
    pub principal: String,
    /// Its roles, by name.
    pub roles: Vec<String>,
    /// The request.
    pub request_id: Option<String>,
    /// What asks.
    pub cause: PromotionCause,
}

impl Asker {
    /// The server by itself.
    pub(super) fn service(cause: PromotionCause) -> Self {
        let principal = "service".to_owned();
        Self { principal, roles: Vec::new(), request_id: None, cause }
    }
}

/// The runs of a lake; clones are the same.
#[derive(Clone, Debug)]
pub struct Promotions(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub promotion: Promotion,
    pub lake: Lake,
    pub shelf: Shelf,
    pub leases: Leases,
    pub audit: Audit,
    pub rules: PromotionRules,
    /// There may be something to do.
    pub work: Notify,
    /// Something was loaded.
    pub loads: Notify,
    /// A run has ended here.
    pub ended: Notify,
    pub stop: CancellationToken,
    /// The run that this server is at, and how to cancel it.
    pub here: Mutex<Option<(String, CancellationToken)>>,
}

impl Promotions {
    /// The runs of a lake's pipeline. Nothing runs before [`Promotions::keep_working`].
    pub fn new(lake: Lake, promotion: Promotion, audit: Audit, rules: PromotionRules) -> Self {
        Self(Arc::new(Inner {
            promotion,
            shelf: Shelf::new(lake.clone(), FOLDER),
            leases: Leases::new(lake.clone(), rules.lease),
            lake,
            audit,
            rules,
            work: Notify::new(),
            loads: Notify::new(),
            ended: Notify::new(),
            stop: CancellationToken::new(),
            here: Mutex::default(),
        }))
    }

    /// Takes an order. With a key, the same order of the same principal is taken once.
    ///
    /// # Errors
    /// [`PromotionError::NotDerived`], [`PromotionError::NoTables`], [`PromotionError::QueueFull`],
    /// [`LedgerError::KeyReused`](crate::ledger::LedgerError::KeyReused).
    pub async fn ask(
        &self,
        asker: Asker,
        tables: Option<&[String]>,
        key: Option<&str>,
    ) -> Result<PromotionInfo, PromotionError> {
        let shelf = &self.0.shelf;
        let tables = self.0.promotion.in_order(tables)?;
        let mut id = Shelf::id();
        if let Some(key) = key {
            id = shelf.keyed(&asker.principal, key, &tables.join(","), &id).await?;
            match self.get(&id).await {
                // Its first order may have ended before it was kept.
                Err(PromotionError::UnknownRun(_)) => {}
                found => return found,
            }
        }
        let waiting = shelf.open().await?.len();
        if waiting >= self.0.rules.queued {
            return Err(PromotionError::QueueFull(waiting));
        }
        let asked = Asked {
            tables,
            cause: asker.cause,
            principal: asker.principal,
            roles: asker.roles,
            request_id: asker.request_id,
            created: Utc::now().timestamp_millis(),
        };
        shelf.ask(&id, &asked).await?;
        self.0.work.notify_one();
        Ok(info(&id, &asked))
    }

    /// A run as it is now.
    ///
    /// # Errors
    /// [`PromotionError::UnknownRun`]
    pub async fn get(&self, id: &str) -> Result<PromotionInfo, PromotionError> {
        let unknown = || PromotionError::UnknownRun(id.chars().take(64).collect());
        if !Shelf::is_id(id) {
            return Err(unknown());
        }
        let asked = self.0.shelf.asked(id).await?.ok_or_else(unknown)?;
        let (run, Attempts { cancelled, .. }) = self.0.shelf.newest(id).await?;
        Ok(run.unwrap_or_else(|| {
            let mut info = info(id, &asked);
            if cancelled {
                cancel(&mut info);
            }
            info
        }))
    }

    /// A page of runs, newest first: those with an id smaller than `before`.
    pub async fn list(
        &self,
        limit: usize,
        before: Option<&str>,
    ) -> Result<PromotionList, PromotionError> {
        let ids = self.0.shelf.ids().await?;
        let mut ids = ids.into_iter().filter(|id| before.is_none_or(|before| id.as_str() < before));
        let mut promotions = Vec::new();
        for id in ids.by_ref().take(limit) {
            match self.get(&id).await {
                Ok(run) => promotions.push(run),
                // Its time was over a moment ago.
                Err(PromotionError::UnknownRun(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let more = ids.next().is_some();
        let next = promotions.last().filter(|_| more).map(|run| run.id.clone());
        Ok(PromotionList { promotions, next })
    }

    /// A run once it has ended, or after some time.
    pub async fn wait(&self, id: &str, time: Duration) -> Result<PromotionInfo, PromotionError> {
        let end = tokio::time::Instant::now() + time;
        let mut pause = Duration::from_millis(10);
        loop {
            // Before the look, or an end right behind it is not heard of.
            let ended = self.0.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            let run = self.get(id).await?;
            if run.state.is_final() || tokio::time::Instant::now() + pause > end {
                return Ok(run);
            }
            tokio::select! {
                () = ended => {}
                // It may end on another server.
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(Duration::from_millis(250));
        }
    }

    /// Stops a run: the table that it is at stays as it was, those before it stay as they are. One
    /// that has ended stays as it is.
    pub async fn cancel(&self, id: &str) -> Result<PromotionInfo, PromotionError> {
        let run = self.get(id).await?;
        if run.state.is_final() {
            return Ok(run);
        }
        self.0.shelf.cancel(id).await?;
        if let Some((here, token)) = self.0.here().as_ref()
            && here == id
        {
            token.cancel();
        }
        self.0.work.notify_one();
        self.wait(id, Duration::from_secs(2)).await
    }

    /// Something was loaded: where the pipeline says so, a run follows.
    pub fn loaded(&self) {
        self.0.loads.notify_one();
    }

    /// Waits until the server is told to stop.
    pub async fn stopping(&self) {
        self.0.stop.cancelled().await;
    }

    /// Leaves the run that this server is at to others, and begins no other.
    pub fn stop(&self) {
        self.0.stop.cancel();
    }
}

impl Inner {
    pub fn here(&self) -> std::sync::MutexGuard<'_, Option<(String, CancellationToken)>> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run that nobody began yet.
pub(super) fn info(id: &str, asked: &Asked) -> PromotionInfo {
    PromotionInfo {
        id: id.to_owned(),
        state: WorkState::Queued,
        cause: asked.cause,
        principal: asked.principal.clone(),
        request_id: asked.request_id.clone(),
        created: asked.created,
        started: None,
        finished: None,
        attempts: 0,
        tables: asked.tables.iter().map(|table| PromotedTable::queued(table)).collect(),
        error: None,
    }
}

/// What did not happen yet will not.
pub(super) fn cancel(run: &mut PromotionInfo) {
    for table in run.tables.iter_mut().filter(|table| !table.state.is_final()) {
        table.state = TableState::Cancelled;
    }
    run.state = WorkState::Cancelled;
}
