//! Takes orders for imports, says how far they are, and carries them out.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use serde::{Deserialize, Serialize};
use stedi_openapi::{ImportInfo, WorkState};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::allowed::Allowed;
use crate::lake::Lake;
use crate::landing::{Landing, LandingError};
use crate::ledger::audit::Audit;
use crate::ledger::{self, Attempts, Leases};

const FOLDER: &str = "system/imports";
/// How soon it is looked again after an error, or whether an import of somebody else's is over.
const SOON: Duration = Duration::from_secs(1);

/// How imports are kept and run.
#[derive(Clone, Debug)]
pub struct ImportRules {
    /// Where files may come from.
    pub from: Allowed,
    /// Imports that may wait.
    pub queued: usize,
    /// Time without a sign of life after which another server takes an import over.
    pub lease: Duration,
    /// How long an import is kept, and a key remembered.
    pub keep: Duration,
}

/// Who asks for an import.
#[derive(Clone, Debug)]
pub struct Importer {
    /// A token's `sub`.
    pub principal: String,
    /// Its roles, by name.
    pub roles: Vec<String>,
    /// The request.
    pub request_id: Option<String>,
}

/// What was asked, by whom.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Asked {
    pub table: String,
    pub source: String,
    pub principal: String,
    pub roles: Vec<String>,
    pub request_id: Option<String>,
    /// Epoch milliseconds.
    pub created: i64,
}

pub(super) type Shelf = ledger::Shelf<Asked, ImportInfo>;

/// The imports of a lake; clones are the same.
#[derive(Clone)]
pub struct Imports(pub(super) Arc<Inner>);

impl std::fmt::Debug for Imports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Imports")
    }
}

pub(super) struct Inner {
    pub landing: Arc<Landing>,
    pub lake: Lake,
    pub shelf: Shelf,
    pub leases: Leases,
    pub audit: Audit,
    pub rules: ImportRules,
    /// Told of every load.
    pub loaded: Box<dyn Fn() + Send + Sync>,
    pub stop: CancellationToken,
    work: Notify,
}

impl Imports {
    /// The imports into a lake's landing tables; `loaded` hears of every load. Nothing runs before
    /// [`Imports::keep_working`].
    pub fn new(
        lake: Lake,
        landing: Arc<Landing>,
        audit: Audit,
        rules: ImportRules,
        loaded: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            landing,
            shelf: Shelf::new(lake.clone(), FOLDER),
            leases: Leases::new(lake.clone(), rules.lease),
            lake,
            audit,
            rules,
            loaded: Box::new(loaded),
            stop: CancellationToken::new(),
            work: Notify::new(),
        }))
    }

    /// Takes an order. With a key, the same order of the same principal is taken once.
    ///
    /// # Errors
    /// [`LandingError::UnknownTable`], [`LandingError::Source`], [`LandingError::Busy`].
    pub async fn ask(
        &self,
        who: Importer,
        table: &str,
        source: &str,
        key: Option<&str>,
    ) -> Result<ImportInfo, LandingError> {
        let shelf = &self.0.shelf;
        self.0.landing.source(table)?;
        let source = self.0.rules.from.source(source)?.to_string();
        let mut id = Shelf::id();
        if let Some(key) = key {
            id = shelf.keyed(&who.principal, key, &format!("{table}\n{source}"), &id).await?;
            match self.get(table, &id).await {
                // Its first order may have ended before it was kept.
                Err(LandingError::UnknownImport(_)) => {}
                found => return found,
            }
        }
        if shelf.open().await?.len() >= self.0.rules.queued {
            return Err(LandingError::Busy);
        }
        let asked = Asked {
            table: table.to_owned(),
            source,
            principal: who.principal,
            roles: who.roles,
            request_id: who.request_id,
            created: Utc::now().timestamp_millis(),
        };
        shelf.ask(&id, &asked).await?;
        self.0.work.notify_one();
        Ok(info(&id, &asked))
    }

    /// An import as it is now.
    ///
    /// # Errors
    /// [`LandingError::UnknownImport`]
    pub async fn get(&self, table: &str, id: &str) -> Result<ImportInfo, LandingError> {
        let unknown = || LandingError::UnknownImport(id.chars().take(64).collect());
        if !Shelf::is_id(id) {
            return Err(unknown());
        }
        let asked = self.0.shelf.asked(id).await?.filter(|asked| asked.table == table);
        let asked = asked.ok_or_else(unknown)?;
        let (run, Attempts { cancelled, .. }) = self.0.shelf.newest(id).await?;
        Ok(run.unwrap_or_else(|| {
            let mut info = info(id, &asked);
            if cancelled {
                info.state = WorkState::Cancelled;
            }
            info
        }))
    }

    /// An import once it has ended, or after some time.
    pub async fn wait(
        &self,
        table: &str,
        id: &str,
        time: Duration,
    ) -> Result<ImportInfo, LandingError> {
        let end = tokio::time::Instant::now() + time;
        let mut pause = Duration::from_millis(10);
        loop {
            let run = self.get(table, id).await?;
            if run.state.is_final() || tokio::time::Instant::now() + pause > end {
                return Ok(run);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(250));
        }
    }

    /// Stops an import: the file that it is at is loaded wholly or not at all. One that has ended
    /// stays as it is.
    pub async fn cancel(&self, table: &str, id: &str) -> Result<ImportInfo, LandingError> {
        let run = self.get(table, id).await?;
        if run.state.is_final() {
            return Ok(run);
        }
        self.0.shelf.cancel(id).await?;
        self.0.work.notify_one();
        self.wait(table, id, Duration::from_secs(2)).await
    }

    /// Carries imports out, and takes over what other servers left, until the server stops.
    pub async fn keep_working(&self) {
        let inner = &self.0;
        while !inner.stop.is_cancelled() {
            let pause = match inner.work().await {
                Ok(()) => inner.leases.time() / 3,
                Err(error) => {
                    tracing::warn!(%error, "imports were not looked after");
                    SOON
                }
            };
            tokio::select! {
                () = inner.work.notified() => {}
                () = tokio::time::sleep(pause) => {}
                () = inner.stop.cancelled() => {}
            }
        }
    }

    /// Forgets imports and keys whose time is over.
    ///
    /// # Errors
    /// If the lake cannot be read or written.
    pub async fn sweep(&self) -> Result<(), LandingError> {
        let keep = i64::try_from(self.0.rules.keep.as_millis()).unwrap_or(i64::MAX);
        let before = Utc::now().timestamp_millis().saturating_sub(keep);
        Ok(self.0.shelf.sweep(before, |asked| asked.created).await?)
    }

    /// Waits until the server is told to stop.
    pub async fn stopping(&self) {
        self.0.stop.cancelled().await;
    }

    /// Leaves the import that this server is at to others, and begins no other.
    pub fn stop(&self) {
        self.0.stop.cancel();
    }
}

impl Inner {
    /// Carries out what is open, if nobody else does.
    async fn work(&self) -> Result<(), LandingError> {
        for id in self.shelf.open().await? {
            if self.stop.is_cancelled() {
                break;
            }
            let Some(lease) = self.leases.take(&format!("import-{id}")).await? else { continue };
            let done = self.one(&id, &lease).await;
            lease.release().await?;
            done?;
        }
        Ok(())
    }
}

/// An import that nobody began yet.
pub(super) fn info(id: &str, asked: &Asked) -> ImportInfo {
    ImportInfo {
        id: id.to_owned(),
        state: WorkState::Queued,
        table: asked.table.clone(),
        source: asked.source.clone(),
        principal: asked.principal.clone(),
        request_id: asked.request_id.clone(),
        created: asked.created,
        started: None,
        finished: None,
        attempts: 0,
        files: 0,
        files_done: 0,
        files_skipped: 0,
        last: None,
        received: 0,
        accepted: 0,
        rejected: 0,
        duplicate: 0,
        suppressed: 0,
        version: None,
        failures: Vec::new(),
        error: None,
    }
}
