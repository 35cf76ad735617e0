//! Step two: a promotion takes the rows out of the derived tables.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::Utc;
use stedi_openapi::{CertifiedTable, PromotionCause, RevocationStep, TableState};

use super::error::ConsentError;
use super::saga::{Part, Saga, pause};
use crate::ledger::{Asker, Attempt};
use crate::pipeline::Zone;

/// How soon a promotion that failed is repeated.
const AGAIN: Duration = Duration::from_secs(10);
/// How long it is waited at one time for one that runs.
const WAIT: Duration = Duration::from_secs(2);

impl Saga {
    /// Promotes all tables until all are up to date, and narrows the denial to the versions before.
    /// False where the attempt is to stop.
    pub(super) async fn delete(
        &self,
        attempt: &Attempt<'_, Self>,
        parts: &mut [Part],
    ) -> Result<bool, ConsentError> {
        self.before(attempt, parts).await?;
        let work = self.promotions.work();
        loop {
            let asker = Asker::service();
            let run = match self.promotions.ask(asker, PromotionCause::Consent, None, None).await {
                Ok(run) => run,
                Err(error) => {
                    tracing::warn!(revocation = attempt.id, %error, "no promotion was begun");
                    if pause(attempt, AGAIN, "a promotion can be begun").await {
                        continue;
                    }
                    return Ok(false);
                }
            };
            let (id, mut run) = (run.id.clone(), run);
            attempt.run().what.waits = Some(format!("promotion {id}"));
            while !run.state.is_final() {
                if attempt.stop.is_cancelled() {
                    return Ok(false);
                }
                run = work.wait(&id, WAIT).await?;
            }
            if run.what.tables.iter().all(|table| table.state == TableState::Succeeded) {
                break;
            }
            tracing::warn!(revocation = attempt.id, promotion = id, "it did not succeed");
            if !pause(attempt, AGAIN, &format!("promotion {id} did not succeed")).await {
                return Ok(false);
            }
        }
        // Who left by these promotions, and of whom nobody knows yet, did not ask for this one.
        self.look_on(attempt).await?;
        let mut after = Vec::new();
        for table in parts.first().map(|part| part.run.what.tables.clone()).unwrap_or_default() {
            after.push(self.after(table).await?);
        }
        let requests: BTreeSet<String> = parts.iter().map(|part| part.run.id.clone()).collect();
        let versions: BTreeMap<String, u64> =
            after.iter().map(|table| (table.table.clone(), table.version_after)).collect();
        self.deny.gone(&requests, &versions).await?;
        self.statements.drop_denied().await?;
        let now = Utc::now().timestamp_millis();
        for part in parts {
            part.run.what.tables.clone_from(&after);
            part.run.what.deleted = Some(now);
            part.run.what.step = RevocationStep::Purge;
        }
        Ok(true)
    }

    /// Notes what the tables are before anything is deleted, once.
    async fn before(
        &self,
        attempt: &Attempt<'_, Self>,
        parts: &mut [Part],
    ) -> Result<(), ConsentError> {
        let known = attempt.run().what.tables.clone();
        let mut tables = known;
        if tables.is_empty() {
            for derived in &self.pipeline.derived {
                let current = self.lake.current(derived.zone.name(), &derived.name).await?;
                let Some(current) = current else { continue };
                tables.push(CertifiedTable {
                    table: derived.name.clone(),
                    version_before: current.version(),
                    rows_before: current.files()?.rows(),
                    ..CertifiedTable::default()
                });
            }
            attempt.run().what.tables.clone_from(&tables);
            attempt.told().await?;
        }
        for part in parts {
            part.run.what.tables.clone_from(&tables);
        }
        Ok(())
    }

    /// The same table once everything is deleted.
    async fn after(&self, table: CertifiedTable) -> Result<CertifiedTable, ConsentError> {
        let Some(zone) = self.pipeline.zone(&table.table).map(Zone::name) else { return Ok(table) };
        let Some(current) = self.lake.current(zone, &table.table).await? else { return Ok(table) };
        let before = self.lake.past(zone, &current, table.version_before).await?;
        let now = current.files()?;
        let new = now.clone().without(&before.files()?);
        Ok(CertifiedTable {
            version_after: current.version(),
            rows_after: now.rows(),
            files_rewritten: new.len() as u64,
            bytes_rewritten: new.bytes(),
            ..table
        })
    }
}
