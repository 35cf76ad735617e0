//! A revocation or an erasure as long work: its steps, and those of others that wait behind it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stedi_openapi::{
    CertificateKind, Code, RevocationCause, RevocationInfo, RevocationRun, RevocationStep,
    WorkState,
};
use tokio_util::sync::CancellationToken;

use super::certificates::Certificates;
use super::error::ConsentError;
use super::holds::Holds;
use super::looks::Looks;
use super::secrets::{Secret, Secrets};
use super::service::ConsentRules;
use crate::lake::Lake;
use crate::landing::Landing;
use crate::ledger::audit::{Action, Audit};
use crate::ledger::{Asked, Attempt, Deny, Ended, Kind, Recorded, Suppression};
use crate::maintenance::Maintenance;
use crate::pipeline::Pipeline;
use crate::promotion::{Promotion, Promotions};
use crate::query::Statements;
use crate::snapshot::Snapshots;

/// How soon it is looked whether somebody came who must not wait for a purge or a scan.
pub(super) const OTHERS: Duration = Duration::from_secs(2);

/// What a revocation or an erasure takes.
#[derive(Clone, Debug)]
pub struct Saga {
    /// Where everything lies.
    pub lake: Lake,
    /// What tables there are.
    pub pipeline: Arc<Pipeline>,
    /// Where revocations are rows, and what an erasure empties.
    pub landing: Arc<Landing>,
    /// What keeps reads from rows.
    pub deny: Deny,
    /// What keeps records out.
    pub suppression: Suppression,
    /// Who claims what, and whose consent ends.
    pub promotion: Promotion,
    /// What takes rows out.
    pub promotions: Promotions,
    /// What removes bytes.
    pub maintenance: Maintenance,
    /// What keeps tables as they were.
    pub snapshots: Snapshots,
    /// What keeps results.
    pub statements: Statements,
    /// What keeps records of who did what.
    pub audit: Audit,
    /// What proves it.
    pub certificates: Certificates,
    /// Where it is noted whose consent ended.
    pub looks: Looks,
    /// Whom open work is about.
    pub secrets: Secrets,
    /// Who may not be erased.
    pub holds: Holds,
    /// How it is done.
    pub rules: ConsentRules,
}

/// What is asked of a revocation or an erasure. It lies in the lake, so it names nobody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    pub(super) kind: CertificateKind,
    /// Keyed references.
    pub(super) subjects: Vec<String>,
    pub(super) cause: RevocationCause,
    pub(super) reason: Option<String>,
    /// How long it may take, in milliseconds.
    pub(super) within: i64,
}

/// One of those that a step is done for.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub asked: Asked<Order>,
    pub run: RevocationInfo,
    pub secret: Secret,
    /// Whether it is the one whose turn it is.
    pub own: bool,
}

impl Part {
    /// Whether it is an erasure.
    pub fn erases(&self) -> bool {
        self.run.what.kind == CertificateKind::Erasure
    }
}

impl Kind for Saga {
    const NAME: &'static str = "revocation";
    const FOLDER: &'static str = "system/revocations";
    const ONE_AT_A_TIME: bool = true;
    const ACTION: Action = Action::Consent;
    const UNKNOWN: Code = Code::RevocationNotFound;
    const FULL: Code = Code::Busy;

    type Order = Order;
    type Run = RevocationRun;
    type Error = ConsentError;

    fn word(run: &RevocationRun) -> &'static str {
        run.kind.name()
    }

    fn queued(asked: &Asked<Order>) -> RevocationRun {
        let Order { kind, subjects, cause, reason, within } = &asked.order;
        RevocationRun {
            kind: *kind,
            cause: *cause,
            reason: reason.clone(),
            customers: subjects.len() as u64,
            acknowledged: None,
            deadline: asked.created.saturating_add(*within),
            step: RevocationStep::Deny,
            waits: None,
            deleted: None,
            purged: None,
            redacted: None,
            verified: None,
            tables: Vec::new(),
            snapshots: Vec::new(),
            recipients: BTreeSet::new(),
            scan: None,
            shared: 0,
            found: Vec::new(),
            certificate: None,
        }
    }

    fn recorded(run: &RevocationRun) -> Option<Recorded> {
        let tables =
            run.tables.iter().map(|table| (table.table.clone(), Some(table.version_after)));
        Some(Recorded { tables: tables.collect(), rows_in: None })
    }

    async fn carry_out(&self, attempt: &Attempt<'_, Self>) -> Result<Ended, ConsentError> {
        if attempt.run().what.acknowledged.is_none() {
            if !attempt.hold().await? || !attempt.goes_on().await? {
                return Ok(Ended::Stopped);
            }
            let secret = self.secrets.get((attempt.asked.order.kind, attempt.id)).await?;
            // A twin of it has done all that there was to do.
            let Some(secret) = secret else { return Ok(Ended::Failed(Code::Internal)) };
            let (id, asked, stop) = (attempt.id, attempt.asked, &attempt.stop);
            match self.deny_or_meet(id, asked, &secret, stop).await {
                Ok(Some(at)) => acknowledge(&mut attempt.run().what, at),
                Ok(None) => return Ok(Ended::Stopped),
                // It was placed after this was asked for, and before anything was done.
                Err(ConsentError::Held { .. }) => return Ok(Ended::Failed(Code::LegalHold)),
                Err(error) => return Err(error),
            }
        }
        loop {
            // Each step can be repeated; all the same only one server should be at it.
            if !attempt.goes_on().await? {
                return Ok(Ended::Stopped);
            }
            let step = attempt.run().what.step;
            let (step, mut parts) = self.next(attempt, step).await?;
            let done = match step {
                RevocationStep::Erase => self.erase(attempt, &mut parts).await?,
                // What is acknowledged is behind the first.
                RevocationStep::Deny | RevocationStep::Delete => {
                    self.delete(attempt, &mut parts).await?
                }
                RevocationStep::Redact => self.redact(attempt, &mut parts).await?,
                RevocationStep::Purge => self.purge(attempt, &mut parts).await?,
                RevocationStep::Verify => self.verify(attempt, &mut parts).await?,
                RevocationStep::Certify => self.certify(attempt, &mut parts).await?,
                RevocationStep::Done => break,
            };
            if !done {
                return Ok(Ended::Stopped);
            }
            self.told(attempt, parts).await?;
        }
        let run = attempt.run();
        Ok(match (run.what.found.is_empty(), run.what.kind) {
            (true, _) => Ended::Wholly,
            (_, CertificateKind::Revocation) => Ended::Failed(Code::RevocationFailed),
            (_, CertificateKind::Erasure) => Ended::Failed(Code::ErasureFailed),
        })
    }

    /// Nobody needs to know any more whom it was about, but for an erasure that is to be repeated.
    async fn settled(
        &self,
        run: &RevocationInfo,
        asked: &Asked<Order>,
    ) -> Result<(), ConsentError> {
        let (kind, acknowledged) = (asked.order.kind, run.what.acknowledged.is_some());
        let key = (kind, run.id.as_str());
        match (kind, run.state) {
            (CertificateKind::Erasure, WorkState::Failed) if acknowledged => {
                self.count(run);
                return Ok(());
            }
            (CertificateKind::Erasure, WorkState::Succeeded) => {
                if let Some(secret) = self.secrets.get(key).await? {
                    self.secrets.forget(&secret.subjects).await?;
                }
            }
            _ => {}
        }
        self.secrets.remove(key).await?;
        self.forget_kept(&run.id).await;
        self.count(run);
        Ok(())
    }
}

impl Saga {
    /// Counts an end. One that a legal hold prevented is as it should be.
    fn count(&self, run: &RevocationInfo) {
        let state = match &run.error {
            Some(problem) if problem.code == Code::LegalHold.name() => "refused",
            _ => run.state.name(),
        };
        self.lake.metrics().revocation(run.what.kind.name(), state);
    }

    /// An order that names nobody.
    pub(super) fn order(
        &self,
        secret: &Secret,
        kind: CertificateKind,
        cause: RevocationCause,
    ) -> Order {
        let subjects = secret.subjects.iter().map(|subject| self.secrets.reference(subject));
        let within = i64::try_from(self.rules.within.as_millis()).unwrap_or(i64::MAX);
        Order { kind, subjects: subjects.collect(), cause, reason: None, within }
    }

    /// What is to be done next, and for whom: for the one whose turn it is, and for those that wait
    /// behind it and are as far. What an erasure does before the others is done first, so that one
    /// promotion and one purge are for all.
    async fn next(
        &self,
        attempt: &Attempt<'_, Self>,
        step: RevocationStep,
    ) -> Result<(RevocationStep, Vec<Part>), ConsentError> {
        let first = match step {
            RevocationStep::Erase | RevocationStep::Delete => RevocationStep::Erase,
            RevocationStep::Redact | RevocationStep::Purge => RevocationStep::Redact,
            other => other,
        };
        let mut all = self.parts(attempt).await?;
        let step = match all.iter().any(|part| part.run.what.step == first) {
            true => first,
            false => step,
        };
        all.retain(|part| part.run.what.step == step);
        Ok((step, all))
    }

    /// Waits for a part of the work, and meanwhile takes the rows of those out of the tables who come.
    pub(super) async fn meanwhile<T>(
        &self,
        attempt: &Attempt<'_, Self>,
        part: impl Future<Output = Result<T, ConsentError>>,
    ) -> Result<T, ConsentError> {
        let over = CancellationToken::new();
        let part = async {
            let out = part.await;
            over.cancel();
            out
        };
        let others = async {
            while tokio::time::timeout(OTHERS, over.cancelled()).await.is_err() {
                self.catch_up(attempt).await?;
            }
            Ok(())
        };
        tokio::try_join!(part, others).map(|(out, ())| out)
    }

    /// Takes the rows of those out of the tables that wait behind a purge or a scan, which may take
    /// hours; says of how many. Who comes meanwhile is left to the next time, so that what they wait behind
    /// goes on now and then.
    pub(super) async fn catch_up(
        &self,
        attempt: &Attempt<'_, Self>,
    ) -> Result<usize, ConsentError> {
        let mut behind = self.parts(attempt).await?;
        behind.retain(|part| !part.own && part.run.what.step < RevocationStep::Purge);
        for step in [RevocationStep::Erase, RevocationStep::Delete, RevocationStep::Redact] {
            let (mut parts, others): (Vec<Part>, Vec<Part>) =
                behind.into_iter().partition(|part| part.run.what.step == step);
            if !parts.is_empty() {
                let done = match step {
                    RevocationStep::Erase => self.erase(attempt, &mut parts).await?,
                    // What cannot be promoted now holds up nobody whose rows are out.
                    RevocationStep::Delete => self.try_delete(attempt, &mut parts).await?,
                    _ => self.redact(attempt, &mut parts).await?,
                };
                if !done {
                    return Ok(0);
                }
                for part in &parts {
                    attempt.tell(&part.run).await?;
                }
            }
            behind = parts.into_iter().chain(others).collect();
        }
        Ok(behind.len())
    }

    /// The one whose turn it is, and those that wait behind it and are acknowledged.
    async fn parts(&self, attempt: &Attempt<'_, Self>) -> Result<Vec<Part>, ConsentError> {
        let secret = self.secrets.get((attempt.asked.order.kind, attempt.id)).await?;
        let secret = secret.ok_or_else(|| ConsentError::NoSecret(attempt.id.to_owned()))?;
        let (asked, run) = (attempt.asked.clone(), attempt.run().clone());
        let mut parts = vec![Part { asked, run, secret, own: true }];
        for (asked, run) in attempt.others().await? {
            if run.what.acknowledged.is_some() {
                let secret = self.secrets.get((asked.order.kind, &run.id)).await?;
                let part = secret.map(|secret| Part { asked, run, secret, own: false });
                parts.extend(part);
            }
        }
        Ok(parts)
    }

    /// Writes how far each is.
    async fn told(
        &self,
        attempt: &Attempt<'_, Self>,
        parts: Vec<Part>,
    ) -> Result<(), ConsentError> {
        for part in parts {
            match part.own {
                true => attempt.run().what = RevocationRun { waits: None, ..part.run.what },
                false => attempt.tell(&part.run).await?,
            }
        }
        Ok(attempt.told().await?)
    }
}

/// No read returns the rows any more.
pub(super) fn acknowledge(run: &mut RevocationRun, at: i64) {
    run.acknowledged = Some(at);
    run.step = match run.kind {
        CertificateKind::Revocation => RevocationStep::Delete,
        CertificateKind::Erasure => RevocationStep::Erase,
    };
}

/// Waits for a while and says why; false if the attempt is to stop.
pub(super) async fn pause(attempt: &Attempt<'_, Saga>, time: Duration, why: &str) -> bool {
    attempt.run().what.waits = Some(why.to_owned());
    tokio::time::timeout(time, attempt.stop.cancelled()).await.is_err()
}
