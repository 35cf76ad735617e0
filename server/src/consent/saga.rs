//! A revocation as long work: its steps, and those of others that wait behind it.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stedi_openapi::{Code, RevocationCause, RevocationInfo, RevocationRun, RevocationStep};

use super::certificates::Certificates;
use super::error::ConsentError;
use super::looks::Looks;
use super::service::ConsentRules;
use crate::lake::Lake;
use crate::landing::Landing;
use crate::ledger::audit::Action;
use crate::ledger::{Asked, Attempt, Deny, Ended, Kind, Recorded};
use crate::maintenance::Maintenance;
use crate::pipeline::Pipeline;
use crate::promotion::{Promotion, Promotions};
use crate::query::Statements;

/// What a revocation takes.
#[derive(Clone, Debug)]
pub struct Saga {
    /// Where everything lies.
    pub lake: Lake,
    /// What tables there are.
    pub pipeline: Arc<Pipeline>,
    /// Where revocations are rows.
    pub landing: Arc<Landing>,
    /// What keeps reads from rows.
    pub deny: Deny,
    /// Who claims what, and whose consent ends.
    pub promotion: Promotion,
    /// What takes rows out.
    pub promotions: Promotions,
    /// What removes bytes.
    pub maintenance: Maintenance,
    /// What keeps results.
    pub statements: Statements,
    /// What proves it.
    pub certificates: Certificates,
    /// Where it is noted whose consent ended.
    pub looks: Looks,
    /// How it is done.
    pub rules: ConsentRules,
}

/// What is asked of a revocation. It lies in the lake, so it names nobody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Pseudonyms.
    pub(super) subjects: Vec<String>,
    pub(super) cause: RevocationCause,
    pub(super) reason: Option<String>,
    /// How long it may take, in milliseconds.
    pub(super) within: i64,
}

/// A revocation that a step is done for.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub asked: Asked<Order>,
    pub run: RevocationInfo,
    /// Whether it is the one whose turn it is.
    own: bool,
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

    fn queued(asked: &Asked<Order>) -> RevocationRun {
        let Order { subjects, cause, reason, within } = &asked.order;
        RevocationRun {
            cause: *cause,
            reason: reason.clone(),
            customers: subjects.len() as u64,
            acknowledged: None,
            deadline: asked.created.saturating_add(*within),
            step: RevocationStep::Deny,
            waits: None,
            deleted: None,
            purged: None,
            verified: None,
            tables: Vec::new(),
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
            if !attempt.hold().await? {
                return Ok(Ended::Stopped);
            }
            let at = self.deny(attempt.id, attempt.asked).await?;
            acknowledge(&mut attempt.run().what, at);
        }
        loop {
            let step = attempt.run().what.step;
            let mut parts = self.parts(attempt, step).await?;
            let done = match step {
                // What is acknowledged is behind it.
                RevocationStep::Deny | RevocationStep::Delete => {
                    self.delete(attempt, &mut parts).await?
                }
                RevocationStep::Purge => self.purge(attempt, &mut parts).await?,
                RevocationStep::Verify => self.verify(attempt, &mut parts).await?,
                RevocationStep::Certify => self.certify(attempt, &mut parts).await?,
                RevocationStep::Done => break,
            };
            if !done {
                return Ok(Ended::Stopped);
            }
            for part in parts {
                match part.own {
                    true => attempt.run().what = RevocationRun { waits: None, ..part.run.what },
                    false => attempt.tell(&part.run).await?,
                }
            }
            attempt.told().await?;
        }
        let left = attempt.run().what.found.is_empty();
        Ok(if left { Ended::Wholly } else { Ended::Failed(Code::RevocationFailed) })
    }
}

impl Saga {
    /// The revocation whose turn it is, and those that wait behind it and are as far.
    async fn parts(
        &self,
        attempt: &Attempt<'_, Self>,
        step: RevocationStep,
    ) -> Result<Vec<Part>, ConsentError> {
        let own = Part { asked: attempt.asked.clone(), run: attempt.run().clone(), own: true };
        let others =
            attempt.others().await?.into_iter().map(|(asked, run)| Part { asked, run, own: false });
        let as_far = |part: &Part| {
            part.own || (part.run.what.acknowledged.is_some() && part.run.what.step == step)
        };
        Ok([own].into_iter().chain(others).filter(as_far).collect())
    }
}

/// No read returns the rows any more.
pub(super) fn acknowledge(run: &mut RevocationRun, at: i64) {
    run.acknowledged = Some(at);
    run.step = RevocationStep::Delete;
}

/// Waits for a while and says why; false if the attempt is to stop.
pub(super) async fn pause(attempt: &Attempt<'_, Saga>, time: Duration, why: &str) -> bool {
    attempt.run().what.waits = Some(why.to_owned());
    tokio::time::timeout(time, attempt.stop.cancelled()).await.is_err()
}
