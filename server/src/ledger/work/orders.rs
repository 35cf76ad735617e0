//! Takes orders for work and says how far they are.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::Utc;
use serde::{Deserialize, Serialize};
use stedi_openapi::{Work, WorkState};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio_util::sync::CancellationToken;

use super::kind::Kind;
use super::shelf::Shelf;
use crate::auth::{Principal, Role};
use crate::lake::Lake;
use crate::ledger::audit::{Action, Audit, Draft};
use crate::ledger::error::LedgerError;
use crate::ledger::leases::Leases;

/// How long a cancel waits for its effect.
const HEARD: Duration = Duration::from_secs(2);

/// How work of a kind is kept.
#[derive(Clone, Copy, Debug)]
pub struct WorkRules {
    /// Orders that may wait.
    pub queued: usize,
    /// Time without a sign of life after which another server takes over.
    pub lease: Duration,
    /// How long work that has ended is kept, and a key remembered.
    pub keep: Duration,
}

/// Who asks.
#[derive(Clone, Debug)]
pub struct Asker {
    /// A token's `sub`, or `service`.
    pub principal: String,
    /// Its roles, by name.
    pub roles: Vec<String>,
    /// The request.
    pub request_id: Option<String>,
}

impl Asker {
    /// Whoever has a token.
    pub fn new(principal: &Principal, request_id: Option<String>) -> Self {
        let roles = principal.roles.iter().map(|role| role.name().to_owned()).collect();
        Self { principal: principal.subject.clone(), roles, request_id }
    }

    /// The server by itself.
    pub fn service() -> Self {
        Self { principal: "service".to_owned(), roles: Vec::new(), request_id: None }
    }
}

/// What was asked, by whom.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Asked<O> {
    /// What.
    #[serde(flatten)]
    pub order: O,
    /// A token's `sub`, or `service`.
    pub principal: String,
    /// Its roles, by name.
    pub roles: Vec<String>,
    /// The request.
    pub request_id: Option<String>,
    /// Epoch milliseconds.
    pub created: i64,
}

impl<O> Asked<O> {
    /// Who asked.
    pub fn asker(&self) -> Asker {
        let Self { principal, roles, request_id, .. } = self;
        Asker { principal: principal.clone(), roles: roles.clone(), request_id: request_id.clone() }
    }

    /// What is recorded when something of it begins.
    pub fn draft(&self, action: Action, resource: String) -> Draft {
        let roles = self.roles.iter().filter_map(|role| Role::parse(role));
        Draft {
            principal: Some(self.principal.clone()),
            roles: roles.map(Role::name).collect(),
            request_id: self.request_id.clone(),
            ..Draft::new(action, resource)
        }
    }
}

/// The work of one kind in a lake; clones are the same.
#[derive(Debug)]
pub struct LongWork<K: Kind>(pub(super) Arc<Inner<K>>);

impl<K: Kind> Clone for LongWork<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[derive(Debug)]
pub(super) struct Inner<K: Kind> {
    pub kind: K,
    pub shelf: Shelf<Asked<K::Order>, Work<K::Run>>,
    pub leases: Leases,
    pub audit: Audit,
    pub rules: WorkRules,
    /// There may be something to do.
    pub work: Notify,
    /// Something has ended here.
    pub ended: Notify,
    pub stop: CancellationToken,
    /// What this server is at, and how to cancel it.
    pub here: Mutex<Option<(String, CancellationToken)>>,
}

impl<K: Kind> LongWork<K> {
    /// The work of a lake. Nothing is carried out before [`LongWork::keep_working`].
    pub fn new(lake: &Lake, kind: K, audit: Audit, rules: WorkRules) -> Self {
        Self(Arc::new(Inner {
            kind,
            shelf: Shelf::new(lake.clone(), K::FOLDER),
            leases: Leases::new(lake.clone(), rules.lease),
            audit,
            rules,
            work: Notify::new(),
            ended: Notify::new(),
            stop: CancellationToken::new(),
            here: Mutex::default(),
        }))
    }

    /// What knows how it is carried out.
    pub fn kind(&self) -> &K {
        &self.0.kind
    }

    /// Takes an order. With a key, the same order of the same principal is taken once.
    ///
    /// # Errors
    /// [`LedgerError::KeyReused`], [`LedgerError::WorkWaits`].
    pub async fn ask(
        &self,
        asker: Asker,
        order: K::Order,
        key: Option<&str>,
    ) -> Result<Work<K::Run>, LedgerError> {
        let run = self.place(asker, order, key).await?;
        self.wake();
        Ok(run)
    }

    /// Looks soon whether there is something to do.
    pub fn wake(&self) {
        self.0.work.notify_one();
    }

    /// The same as [`LongWork::ask`], but this server does not begin at once: whoever asks has
    /// something to do before.
    ///
    /// # Errors
    /// See [`LongWork::ask`].
    pub async fn place(
        &self,
        asker: Asker,
        order: K::Order,
        key: Option<&str>,
    ) -> Result<Work<K::Run>, LedgerError> {
        if let Some(key) = key
            && let Some(run) = self.known(&asker.principal, key, &order).await?
        {
            return Ok(run);
        }
        let id = self.id(&asker.principal, key, &order).await?;
        self.place_new(&id, asker, order).await
    }

    /// Work that somebody asked for with a key, if there is any.
    ///
    /// # Errors
    /// [`LedgerError::KeyReused`] if it came with another body.
    pub async fn known(
        &self,
        principal: &str,
        key: &str,
        body: &impl Serialize,
    ) -> Result<Option<Work<K::Run>>, LedgerError> {
        let Some(id) = self.0.shelf.known(principal, key, body).await? else { return Ok(None) };
        match self.get(&id).await {
            // Its first order may have ended before it was kept.
            Err(LedgerError::NoWork { .. }) => Ok(None),
            found => found.map(Some),
        }
    }

    /// The id of work that is to be placed; with a key, always the same.
    ///
    /// # Errors
    /// [`LedgerError::KeyReused`] if the key came with another body.
    pub async fn id(
        &self,
        principal: &str,
        key: Option<&str>,
        body: &impl Serialize,
    ) -> Result<String, LedgerError> {
        let shelf = &self.0.shelf;
        match key {
            None => Ok(shelf.id()),
            Some(key) => shelf.keyed(principal, key, body, &shelf.id()).await,
        }
    }

    /// The same as [`LongWork::place`], under an id that [`LongWork::id`] gave.
    ///
    /// # Errors
    /// [`LedgerError::WorkWaits`]
    pub async fn place_new(
        &self,
        id: &str,
        asker: Asker,
        order: K::Order,
    ) -> Result<Work<K::Run>, LedgerError> {
        let Inner { shelf, rules, .. } = &*self.0;
        let count = shelf.open().await?.len();
        if count >= rules.queued {
            return Err(LedgerError::WorkWaits { kind: K::NAME, count, code: K::FULL });
        }
        let Asker { principal, roles, request_id } = asker;
        let created = Utc::now().timestamp_millis();
        let asked = Asked { order, principal, roles, request_id, created };
        shelf.ask(id, &asked).await?;
        // The request's own span and lines lead to the run.
        tracing::Span::current().record("ordered", id);
        Ok(queued::<K>(id, &asked))
    }

    /// The same as [`LongWork::place`] under an id that was decided on before, such as a version 7 UUID.
    /// An order that is there, or was, stays as it is. However many wait, it is taken.
    ///
    /// # Errors
    /// If the lake cannot be read or written.
    pub async fn place_as(
        &self,
        id: &str,
        asker: Asker,
        order: K::Order,
    ) -> Result<Work<K::Run>, LedgerError> {
        Ok(self.0.placed_as(id, asker, order).await?.1)
    }

    /// Work as it is now.
    ///
    /// # Errors
    /// [`LedgerError::NoWork`]
    pub async fn get(&self, id: &str) -> Result<Work<K::Run>, LedgerError> {
        let unknown = || {
            let id = id.chars().take(64).collect();
            LedgerError::NoWork { kind: K::NAME, id, code: K::UNKNOWN }
        };
        if !self.0.shelf.is_id(id) {
            return Err(unknown());
        }
        let (_, run) = self.0.found(id).await?.ok_or_else(unknown)?;
        Ok(run)
    }

    /// Removes work that has ended, whatever is kept of it; false if it is open.
    ///
    /// # Errors
    /// If the lake cannot be read or written.
    pub async fn forget(lake: &Lake, id: &str) -> Result<bool, LedgerError> {
        let shelf: Shelf<Asked<K::Order>, Work<K::Run>> = Shelf::new(lake.clone(), K::FOLDER);
        shelf.forget(id).await
    }

    /// A page of what is in demand, newest first: what has an id smaller than `before`; and the
    /// `before` of the next page, if there is one.
    ///
    /// # Errors
    /// If the lake cannot be read.
    pub async fn page(
        &self,
        limit: usize,
        before: Option<&str>,
        only: impl Fn(&Work<K::Run>) -> bool,
    ) -> Result<(Vec<Work<K::Run>>, Option<String>), LedgerError> {
        let ids = self.0.shelf.ids().await?;
        let ids = ids.into_iter().filter(|id| before.is_none_or(|before| id.as_str() < before));
        let mut page: Vec<Work<K::Run>> = Vec::new();
        for id in ids {
            if page.len() == limit {
                let next = page.last().map(|run| run.id.clone());
                return Ok((page, next));
            }
            match self.get(&id).await {
                Ok(run) if only(&run) => page.push(run),
                // Its time was over a moment ago, or nobody asked for it.
                Ok(_) | Err(LedgerError::NoWork { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok((page, None))
    }

    /// What somebody has to look after, oldest first.
    ///
    /// # Errors
    /// If the lake cannot be read.
    pub async fn open(&self) -> Result<Vec<(Asked<K::Order>, Work<K::Run>)>, LedgerError> {
        let mut open = Vec::new();
        for id in self.0.shelf.open().await? {
            open.extend(self.0.found(&id).await?.filter(|(_, run)| !run.state.is_final()));
        }
        Ok(open)
    }

    /// Work that somebody has to look after; nothing if it has ended.
    ///
    /// # Errors
    /// If the lake cannot be read.
    pub async fn open_one(
        &self,
        id: &str,
    ) -> Result<Option<(Asked<K::Order>, Work<K::Run>)>, LedgerError> {
        let found = self.0.found(id).await?;
        Ok(found.filter(|(_, run)| !run.state.is_final()))
    }

    /// Sees to it that work cannot be cancelled any more, and says what was asked; nothing if
    /// somebody cancelled it before.
    ///
    /// # Errors
    /// [`LedgerError::NoWork`]
    pub async fn hold(&self, id: &str) -> Result<Option<Asked<K::Order>>, LedgerError> {
        match self.0.shelf.hold(id).await? {
            true => Ok(self.0.shelf.asked(id).await?),
            false => Ok(None),
        }
    }

    /// Notes how far work is that nobody took on yet.
    ///
    /// # Errors
    /// If the lake cannot be written.
    pub async fn note(&self, run: &Work<K::Run>) -> Result<(), LedgerError> {
        self.0.shelf.write(&run.id, 0, run).await
    }

    /// Work once it has ended, or after some time.
    ///
    /// # Errors
    /// [`LedgerError::NoWork`]
    pub async fn wait(&self, id: &str, time: Duration) -> Result<Work<K::Run>, LedgerError> {
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

    /// Stops it: what was done stays done. Work that has ended stays as it is.
    ///
    /// # Errors
    /// [`LedgerError::NoWork`], [`LedgerError::Held`].
    pub async fn cancel(&self, id: &str) -> Result<Work<K::Run>, LedgerError> {
        let run = self.get(id).await?;
        if run.state.is_final() {
            return Ok(run);
        }
        if !self.0.shelf.cancel(id).await? {
            return Err(LedgerError::Held { kind: K::NAME, id: run.id });
        }
        if let Some((here, token)) = self.0.here().as_ref()
            && here == id
        {
            token.cancel();
        }
        self.0.work.notify_one();
        self.wait(id, HEARD).await
    }

    /// The next end of work that this server carries out.
    pub fn ended(&self) -> Notified<'_> {
        self.0.ended.notified()
    }

    /// Cancelled when the server is told to stop.
    pub fn stopping(&self) -> &CancellationToken {
        &self.0.stop
    }

    /// Leaves what this server is at to others, and begins nothing more.
    pub fn stop(&self) {
        self.0.stop.cancel();
    }
}

impl<K: Kind> Inner<K> {
    /// What was asked, and how far it is.
    pub async fn found(
        &self,
        id: &str,
    ) -> Result<Option<(Asked<K::Order>, Work<K::Run>)>, LedgerError> {
        let Some(asked) = self.shelf.asked(id).await? else { return Ok(None) };
        let (run, attempts) = self.shelf.newest(id, 0).await?;
        let run = run.unwrap_or_else(|| {
            let mut run = queued::<K>(id, &asked);
            if attempts.cancelled {
                run.state = WorkState::Cancelled;
                K::given_up(&mut run.what);
            }
            run
        });
        Ok(Some((asked, run)))
    }

    /// What was asked under an id that was decided on before, and how far it is.
    pub async fn placed_as(
        &self,
        id: &str,
        asker: Asker,
        order: K::Order,
    ) -> Result<(Asked<K::Order>, Work<K::Run>), LedgerError> {
        if let Some(found) = self.found(id).await? {
            return Ok(found);
        }
        let Asker { principal, roles, request_id } = asker;
        let created = Utc::now().timestamp_millis();
        let asked = Asked { order, principal, roles, request_id, created };
        self.shelf.ask(id, &asked).await?;
        // Somebody else's may be there by now.
        let found = self.found(id).await?;
        Ok(found.unwrap_or_else(|| (asked.clone(), queued::<K>(id, &asked))))
    }

    pub fn here(&self) -> MutexGuard<'_, Option<(String, CancellationToken)>> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Work that nobody began yet.
pub(super) fn queued<K: Kind>(id: &str, asked: &Asked<K::Order>) -> Work<K::Run> {
    Work {
        id: id.to_owned(),
        state: WorkState::Queued,
        principal: asked.principal.clone(),
        request_id: asked.request_id.clone(),
        created: asked.created,
        started: None,
        finished: None,
        attempts: 0,
        what: K::queued(asked),
        error: None,
    }
}
