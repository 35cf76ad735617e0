//! Step two of an erasure: the landing zone is emptied.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stedi_openapi::{CertificateKind, RevocationStep};

use super::deny::suppressed;
use super::error::ConsentError;
use super::needles::{LookedFor, identifiers, unshared};
use super::saga::{Part, Saga};
use crate::lake::Needles;
use crate::landing::Erased;
use crate::ledger::Attempt;

impl Saga {
    /// Takes the rows out of landing tables, those of rejected records and that of revocations, and
    /// narrows the denial to the versions before. False where the attempt is to stop.
    pub(super) async fn erase(
        &self,
        attempt: &Attempt<'_, Self>,
        parts: &mut [Part],
    ) -> Result<bool, ConsentError> {
        self.before(attempt, parts).await?;
        for part in parts {
            if attempt.stop.is_cancelled() {
                return Ok(false);
            }
            // What arrived since they were asked for, before it is gone.
            let subjects = part.secret.subjects.clone();
            if part.secret.learn(identifiers(&self.lake, &self.pipeline, &subjects).await?) {
                self.secrets.put((CertificateKind::Erasure, &part.run.id), &part.secret).await?;
            }
            let known = part.secret.identifiers();
            let known = unshared(&self.lake, &self.pipeline, &subjects, known).await?;
            let number = self
                .suppression
                .add(&[suppressed(&part.run.id, &part.asked, &part.secret)])
                .await?;
            let erased = Erased {
                request: part.run.id.clone(),
                number,
                subjects,
                devices: part.secret.devices(),
                until: part.asked.created,
                needles: Arc::new(Needles::new(LookedFor::of(known).needles)?),
            };
            let tables = self.landing.erase(&erased, &attempt.author()).await?;
            let versions: BTreeMap<String, u64> =
                tables.into_iter().map(|table| (table.table, table.version_after)).collect();
            self.deny.gone(&BTreeSet::from([part.run.id.clone()]), &versions).await?;
            part.run.what.step = RevocationStep::Delete;
        }
        Ok(true)
    }
}
