//! Takes revocations and erasures, and says how far they are.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::Utc;
use serde::Serialize;
use stedi_openapi::{
    CertificateKind, Code, LoadResult, RevocationCause, RevocationInfo, RevocationState, WorkState,
};

use super::error::ConsentError;
use super::needles::Identifiers;
use super::saga::{Order, Saga, acknowledge};
use super::secrets::Secret;
use super::who::{Named, Who, named, names_nobody, subjects_of};
use crate::ledger::audit::Audit;
use crate::ledger::{Asker, LedgerError, LongWork, SubjectKey, WorkRules};

/// How often it is counted what is open.
const COUNT: Duration = Duration::from_secs(30);
/// How old a secret is whose order, if there is none, will not come any more, in milliseconds.
const ORPHAN: i64 = 3_600_000;

/// How revocations are kept and carried out.
#[derive(Clone, Copy, Debug)]
pub struct ConsentRules {
    /// How they are kept.
    pub work: WorkRules,
    /// How long one may take.
    pub within: Duration,
    /// How long somebody may still read files of a version that a purge cuts off.
    pub grace: Duration,
    /// How old a file is that nobody can commit any more.
    pub unfinished: Duration,
}

/// The revocations and erasures of a lake; clones are the same.
#[derive(Clone, Debug)]
pub struct Revocations {
    pub(super) work: LongWork<Saga>,
    pub(super) key: SubjectKey,
}

/// What a request says, as far as it may stay in the lake.
#[derive(Debug, Serialize)]
struct Body<'a> {
    kind: CertificateKind,
    /// Keyed references.
    customers: Vec<String>,
    reason: Option<&'a str>,
}

impl Revocations {
    /// Those of a lake. Nothing is carried out before [`Revocations::keep_working`].
    pub fn new(saga: Saga, key: SubjectKey, audit: Audit) -> Self {
        let (lake, rules) = (saga.lake.clone(), saga.rules);
        Self { work: LongWork::new(&lake, saga, audit, rules.work), key }
    }

    /// All that revocations have in common with other long work.
    pub fn work(&self) -> &LongWork<Saga> {
        &self.work
    }

    /// Withdraws the consent of some customers, or forgets them, also such of whom nothing is known but
    /// the e-mail. When it returns, no read gives their rows any more; the rest follows. With a key, the
    /// same request of the same principal is one.
    ///
    /// # Errors
    /// [`ConsentError::NoRevocations`], [`ConsentError::UnknownCustomer`], [`ConsentError::Shared`],
    /// [`ConsentError::ErasureOpen`], for an erasure [`ConsentError::Held`], and those of
    /// [`LongWork::ask`]. After any other error it is open all the same if it is there, and acknowledged
    /// later.
    pub async fn ask(
        &self,
        kind: CertificateKind,
        asker: Asker,
        customers: &[Who],
        reason: Option<String>,
        key: Option<&str>,
    ) -> Result<RevocationInfo, ConsentError> {
        let saga = self.work.kind();
        let body = self.body(kind, customers, reason.as_deref())?;
        if let Some(run) = self.known(&asker, key, &body).await? {
            return self.acknowledged(run).await;
        }
        let erases = kind == CertificateKind::Erasure;
        let named = named(&saga.promotion, &self.key, customers, erases).await?;
        let reference = |one: &Named| (one.number, saga.secrets.reference(&one.subject));
        let references: Vec<(usize, String)> = named.iter().map(reference).collect();
        if erases {
            saga.not_held(references.iter().map(|(number, one)| (*number, one))).await?;
        }
        self.not_erased(&references).await?;
        let secret = match erases {
            true => self.erased(&named, reason.as_deref()).await?,
            false => Secret::new(subjects_of(&named), Identifiers::new()),
        };
        let order = saga.order(&secret, kind, RevocationCause::Request);
        let id = self.work.id(&asker.principal, key, &body).await?;
        self.open(&id, asker, Order { reason, ..order }, &secret).await
    }

    /// What a request says, which must be one that can be carried out.
    fn body<'a>(
        &self,
        kind: CertificateKind,
        customers: &[Who],
        reason: Option<&'a str>,
    ) -> Result<Body<'a>, ConsentError> {
        let saga = self.work.kind();
        if saga.pipeline.consent.is_none() {
            return Err(ConsentError::NoRevocations);
        }
        if customers.is_empty() {
            return Err(ConsentError::Malformed);
        }
        names_nobody(customers, reason)?;
        let customers = customers.iter().map(|who| saga.secrets.reference(&who.mark())).collect();
        Ok(Body { kind, customers, reason })
    }

    /// What the same principal asked for with the same key before.
    async fn known(
        &self,
        asker: &Asker,
        key: Option<&str>,
        body: &Body<'_>,
    ) -> Result<Option<RevocationInfo>, ConsentError> {
        match key {
            Some(key) => Ok(self.work.known(&asker.principal, key, body).await?),
            None => Ok(None),
        }
    }

    /// What a load into a table ended: the ids of the revocations of customers whose records do not
    /// consent any more. Those who have none yet get one, also those whose rows a promotion has taken
    /// out already.
    ///
    /// # Errors
    /// If it cannot be found out, or be kept.
    pub async fn ended(&self, asker: Asker, table: &str) -> Result<Vec<String>, ConsentError> {
        let saga = self.work.kind();
        let consent = saga.pipeline.consent.as_ref();
        if consent.is_none_or(|consent| consent.customers != table) {
            return Ok(Vec::new());
        }
        let mut ids = BTreeSet::new();
        let mut opened = None::<String>;
        while let Some(opens) = saga.look(opened.as_deref()).await? {
            let order = saga.opened(&opens).await?;
            let run = self.work.place_as(&opens.id, asker.clone(), order).await?;
            ids.insert(self.acknowledged(run).await?.id);
            opened = Some(opens.id);
        }
        ids.extend(saga.looks.newest().await?.1.announced.into_values());
        Ok(ids.into_iter().collect())
    }

    /// What follows a load: see [`Revocations::ended`]. A load that is in the table is answered all the
    /// same if that cannot be found out now; it is looked again later.
    pub async fn loaded(&self, asker: Asker, result: &LoadResult) -> Vec<String> {
        if result.accepted == 0 && result.duplicate == 0 {
            return Vec::new();
        }
        self.ended(asker, &result.table).await.unwrap_or_else(|error| {
            tracing::error!(table = result.table, %error, "it was not looked whether consents ended");
            Vec::new()
        })
    }

    /// Takes an order, and has its rows denied before anything else.
    async fn open(
        &self,
        id: &str,
        asker: Asker,
        order: Order,
        secret: &Secret,
    ) -> Result<RevocationInfo, ConsentError> {
        let saga = self.work.kind();
        let of = (order.kind, id);
        // Before the order: whoever finds it can carry it out.
        saga.secrets.put(of, secret).await?;
        let run = match self.work.place_new(id, asker, order).await {
            Ok(run) => run,
            Err(error) => {
                saga.secrets.remove(of).await?;
                return Err(error.into());
            }
        };
        self.acknowledged(run).await
    }

    /// Denies the rows, if nobody did yet.
    async fn acknowledged(&self, mut run: RevocationInfo) -> Result<RevocationInfo, ConsentError> {
        if run.what.acknowledged.is_some() || run.state.is_final() {
            return Ok(run);
        }
        // Whoever is at another one must not hold it up.
        let Some(asked) = self.work.hold(&run.id).await? else {
            return Ok(self.work.get(&run.id).await?);
        };
        let saga = self.work.kind();
        let Some(secret) = saga.secrets.get((run.what.kind, &run.id)).await? else {
            return Ok(self.work.get(&run.id).await?);
        };
        let at = saga.deny(&run.id, &asked, &secret).await?;
        acknowledge(&mut run.what, at);
        self.work.note(&run).await?;
        self.work.wake();
        let (kind, customers) = (run.what.kind.name(), run.what.customers);
        tracing::info!(kind, id = run.id, customers, "acknowledged");
        Ok(run)
    }

    /// A revocation or an erasure, whichever is asked for.
    ///
    /// # Errors
    /// [`LedgerError::NoWork`], also if it is the other.
    pub async fn get(
        &self,
        kind: CertificateKind,
        id: &str,
    ) -> Result<RevocationInfo, LedgerError> {
        let code = match kind {
            CertificateKind::Revocation => Code::RevocationNotFound,
            CertificateKind::Erasure => Code::ErasureNotFound,
        };
        let unknown = |id| LedgerError::NoWork { kind: kind.name(), id, code };
        match self.work.get(id).await {
            Ok(run) if run.what.kind == kind => Ok(run),
            Ok(run) => Err(unknown(run.id)),
            Err(LedgerError::NoWork { id, .. }) => Err(unknown(id)),
            Err(error) => Err(error),
        }
    }

    /// The certificate of a revocation or an erasure, as it was signed.
    ///
    /// # Errors
    /// [`LedgerError::NoWork`], [`ConsentError::NoCertificate`].
    pub async fn certificate(
        &self,
        kind: CertificateKind,
        id: &str,
    ) -> Result<Vec<u8>, ConsentError> {
        let run = self.get(kind, id).await?;
        let certificate = match run.what.certificate {
            None => None,
            Some(number) => self.work.kind().certificates.get(number).await?,
        };
        certificate.ok_or(ConsentError::NoCertificate(run.id))
    }

    /// A page of revocations or erasures, newest first, and the `before` of the next.
    ///
    /// # Errors
    /// If the lake cannot be read.
    pub async fn list(
        &self,
        kind: CertificateKind,
        state: Option<RevocationState>,
        limit: usize,
        before: Option<&str>,
    ) -> Result<(Vec<RevocationInfo>, Option<String>), LedgerError> {
        let now = Utc::now().timestamp_millis();
        let only = |run: &RevocationInfo| match state {
            None => true,
            Some(RevocationState::Queued) => run.state == WorkState::Queued,
            Some(RevocationState::Running) => run.state == WorkState::Running,
            Some(RevocationState::Succeeded) => run.state == WorkState::Succeeded,
            Some(RevocationState::Failed) => run.state == WorkState::Failed,
            Some(RevocationState::Cancelled) => run.state == WorkState::Cancelled,
            Some(RevocationState::Overdue) => {
                run.what.deadline < now
                    && !matches!(run.state, WorkState::Succeeded | WorkState::Cancelled)
            }
        };
        self.work.page(limit, before, |run| run.what.kind == kind && only(run)).await
    }

    /// Carries revocations and erasures out, and counts those that are open, until the server stops.
    pub async fn keep_working(&self) {
        if self.work.kind().pipeline.consent.is_none() {
            return;
        }
        let counting = async {
            while !self.work.stopping().is_cancelled() {
                // What a server that ended did not look at any more.
                if let Some(consent) = &self.work.kind().pipeline.consent
                    && let Err(error) = self.ended(Asker::service(), &consent.customers).await
                {
                    tracing::warn!(%error, "it was not looked whether consents ended");
                }
                if let Err(error) = self.forget_orphans().await {
                    tracing::warn!(%error, "it was not looked for what was never ordered");
                }
                if let Err(error) = self.work.kind().deny.tidy().await {
                    tracing::warn!(%error, "it was not looked which URLs have ended");
                }
                match self.count().await {
                    Ok((open, overdue, deadline)) => {
                        self.work.kind().lake.metrics().revocations(open, overdue, deadline)
                    }
                    Err(error) => tracing::warn!(%error, "open revocations were not counted"),
                }
                let _ = tokio::time::timeout(COUNT, self.work.stopping().cancelled()).await;
            }
        };
        tokio::join!(self.work.keep_working(), counting);
    }

    /// Removes the secrets of orders that never came, or are not kept any more.
    async fn forget_orphans(&self) -> Result<(), ConsentError> {
        let secrets = &self.work.kind().secrets;
        for (kind, id) in secrets.older(Utc::now().timestamp_millis() - ORPHAN).await? {
            let needed = match self.work.get(&id).await {
                Ok(run) if run.state.is_final() => kind == CertificateKind::Erasure,
                Err(LedgerError::NoWork { .. }) => false,
                // It is looked again.
                Ok(_) | Err(_) => true,
            };
            if !needed {
                secrets.remove((kind, &id)).await?;
            }
        }
        Ok(())
    }

    /// Revocations and erasures that are open, those of them whose deadline is over, and the first
    /// deadline of all.
    async fn count(&self) -> Result<(usize, usize, Option<i64>), LedgerError> {
        let now = Utc::now().timestamp_millis();
        let open = self.work.open().await?;
        let overdue = open.iter().filter(|(_, run)| run.what.deadline < now).count();
        let first = open.iter().map(|(_, run)| run.what.deadline).min();
        Ok((open.len(), overdue, first))
    }
}
