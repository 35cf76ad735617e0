//! Takes revocations, and says how far they are.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::Utc;
use stedi_openapi::{
    LoadResult, RevocationCause, RevocationInfo, RevocationList, RevocationState, WorkState,
};

use super::error::ConsentError;
use super::saga::{Order, Saga, acknowledge};
use super::who::{Who, subjects};
use crate::ledger::audit::Audit;
use crate::ledger::{Asker, LedgerError, LongWork, SubjectKey, WorkRules};

/// How often it is counted what is open.
const COUNT: Duration = Duration::from_secs(30);

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

/// The revocations of a lake; clones are the same.
#[derive(Clone, Debug)]
pub struct Revocations {
    work: LongWork<Saga>,
    key: SubjectKey,
}

impl Revocations {
    /// The revocations of a lake. Nothing is carried out before [`Revocations::keep_working`].
    pub fn new(saga: Saga, key: SubjectKey, audit: Audit) -> Self {
        let (lake, rules) = (saga.lake.clone(), saga.rules);
        Self { work: LongWork::new(&lake, saga, audit, rules.work), key }
    }

    /// All that revocations have in common with other long work.
    pub fn work(&self) -> &LongWork<Saga> {
        &self.work
    }

    /// Withdraws the consent of some customers. When it returns, no read gives their rows any more;
    /// the rest follows. With a key, the same request of the same principal is one.
    ///
    /// # Errors
    /// [`ConsentError::NoRevocations`], [`ConsentError::UnknownCustomer`], [`ConsentError::Shared`],
    /// and those of [`LongWork::ask`]. After any other error the revocation is open all the same if
    /// it is there, and acknowledged later.
    pub async fn ask(
        &self,
        asker: Asker,
        customers: &[Who],
        reason: Option<String>,
        key: Option<&str>,
    ) -> Result<RevocationInfo, ConsentError> {
        if self.work.kind().pipeline.consent.is_none() {
            return Err(ConsentError::NoRevocations);
        }
        if customers.is_empty() {
            return Err(ConsentError::Malformed);
        }
        let subjects =
            subjects(&self.work.kind().promotion, &self.key, customers, reason.as_deref()).await?;
        let subjects = subjects.into_iter().collect();
        self.open(asker, RevocationCause::Request, subjects, reason, key).await
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
            let run = self.work.place_as(&opens.id, asker.clone(), saga.order(&opens)).await?;
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

    async fn open(
        &self,
        asker: Asker,
        cause: RevocationCause,
        subjects: Vec<String>,
        reason: Option<String>,
        key: Option<&str>,
    ) -> Result<RevocationInfo, ConsentError> {
        let saga = self.work.kind();
        let within = i64::try_from(saga.rules.within.as_millis()).unwrap_or(i64::MAX);
        let order = Order { subjects, cause, reason, within };
        let run = self.work.place(asker, order, key).await?;
        self.acknowledged(run).await
    }

    /// Denies the rows of a revocation that is not acknowledged yet.
    async fn acknowledged(&self, mut run: RevocationInfo) -> Result<RevocationInfo, ConsentError> {
        let saga = self.work.kind();
        if run.what.acknowledged.is_none() && !run.state.is_final() {
            // Whoever is at another one must not hold it up.
            let Some(asked) = self.work.hold(&run.id).await? else {
                return Ok(self.work.get(&run.id).await?);
            };
            let at = saga.deny(&run.id, &asked).await?;
            acknowledge(&mut run.what, at);
            self.work.note(&run).await?;
            self.work.wake();
            tracing::info!(revocation = run.id, customers = run.what.customers, "acknowledged");
        }
        Ok(run)
    }

    /// The certificate of a revocation, as it was signed.
    ///
    /// # Errors
    /// [`LedgerError::NoWork`], [`ConsentError::NoCertificate`].
    pub async fn certificate(&self, id: &str) -> Result<Vec<u8>, ConsentError> {
        let revocation = self.work.get(id).await?;
        let certificate = match revocation.what.certificate {
            None => None,
            Some(number) => self.work.kind().certificates.get(number).await?,
        };
        certificate.ok_or(ConsentError::NoCertificate(revocation.id))
    }

    /// A page of revocations, newest first.
    ///
    /// # Errors
    /// If the lake cannot be read.
    pub async fn list(
        &self,
        state: Option<RevocationState>,
        limit: usize,
        before: Option<&str>,
    ) -> Result<RevocationList, LedgerError> {
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
        let (revocations, next) = self.work.page(limit, before, only).await?;
        Ok(RevocationList { revocations, next })
    }

    /// Carries revocations out, and counts those that are open, until the server stops.
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
                match self.count().await {
                    Ok((open, overdue)) => {
                        self.work.kind().lake.metrics().revocations(open, overdue)
                    }
                    Err(error) => tracing::warn!(%error, "open revocations were not counted"),
                }
                let _ = tokio::time::timeout(COUNT, self.work.stopping().cancelled()).await;
            }
        };
        tokio::join!(self.work.keep_working(), counting);
    }

    /// Revocations that are open, and those of them whose deadline is over.
    async fn count(&self) -> Result<(usize, usize), LedgerError> {
        let now = Utc::now().timestamp_millis();
        let open = self.work.open().await?;
        let overdue = open.iter().filter(|(_, run)| run.what.deadline < now).count();
        Ok((open.len(), overdue))
    }
}
