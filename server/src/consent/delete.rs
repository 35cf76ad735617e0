//! Step two, of an erasure three: a promotion takes the rows out of the derived tables.

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
        while let Some(why) = self.promoted(attempt).await? {
            if !pause(attempt, AGAIN, &why).await {
                return Ok(false);
            }
        }
        self.deleted(attempt, parts).await?;
        Ok(true)
    }

    /// The same, if one promotion is enough; false, a while later, where it is not, or the attempt is to
    /// stop.
    pub(super) async fn try_delete(
        &self,
        attempt: &Attempt<'_, Self>,
        parts: &mut [Part],
    ) -> Result<bool, ConsentError> {
        self.before(attempt, parts).await?;
        if let Some(why) = self.promoted(attempt).await? {
            pause(attempt, AGAIN, &why).await;
            return Ok(false);
        }
        self.deleted(attempt, parts).await?;
        Ok(true)
    }

    /// Promotes all tables, and says what it waits for where not all are up to date then.
    async fn promoted(&self, attempt: &Attempt<'_, Self>) -> Result<Option<String>, ConsentError> {
        let asked =
            self.promotions.ask(Asker::service(), PromotionCause::Consent, None, None).await;
        let mut run = match asked {
            Ok(run) => run,
            Err(error) => {
                tracing::warn!(revocation = attempt.id, %error, "no promotion was begun");
                return Ok(Some("a promotion can be begun".to_owned()));
            }
        };
        let id = run.id.clone();
        attempt.run().what.waits = Some(format!("promotion {id}"));
        while !run.state.is_final() {
            if attempt.stop.is_cancelled() {
                return Ok(Some(format!("promotion {id}")));
            }
            run = self.promotions.work().wait(&id, WAIT).await?;
        }
        if run.what.tables.iter().all(|table| table.state == TableState::Succeeded) {
            return Ok(None);
        }
        tracing::warn!(revocation = attempt.id, promotion = id, "it did not succeed");
        Ok(Some(format!("promotion {id} did not succeed")))
    }

    /// The rows are out of the tables.
    async fn deleted(
        &self,
        attempt: &Attempt<'_, Self>,
        parts: &mut [Part],
    ) -> Result<(), ConsentError> {
        // Who left by these promotions, and of whom nobody knows yet, did not ask for this one.
        self.look_on(attempt).await?;
        let mut after: Vec<CertifiedTable> = Vec::new();
        for part in parts.iter_mut() {
            if !part.erases() {
                let zone = |table: &CertifiedTable| self.zone(&table.table);
                part.run.what.tables.retain(|table| zone(table) != Some(Zone::Landing));
            }
            for table in &mut part.run.what.tables {
                // Most have the same before.
                let same = |known: &&CertifiedTable| {
                    known.table == table.table && known.version_before == table.version_before
                };
                match after.iter().find(same) {
                    Some(known) => known.clone_into(table),
                    None => {
                        *table = self.after(table.clone()).await?;
                        after.push(table.clone());
                    }
                }
            }
        }
        let requests: BTreeSet<String> = parts.iter().map(|part| part.run.id.clone()).collect();
        let versions: BTreeMap<String, u64> =
            after.iter().map(|table| (table.table.clone(), table.version_after)).collect();
        self.deny.gone(&requests, &versions).await?;
        self.statements.drop_denied().await?;
        let now = Utc::now().timestamp_millis();
        for part in parts {
            part.run.what.deleted = Some(now);
            part.run.what.step = RevocationStep::Redact;
        }
        Ok(())
    }

    /// Notes what the tables are before anything is deleted, once: derived ones, and where somebody is
    /// erased those of the landing zone.
    pub(super) async fn before(
        &self,
        attempt: &Attempt<'_, Self>,
        parts: &mut [Part],
    ) -> Result<(), ConsentError> {
        let erases = parts.iter().any(Part::erases);
        // What they were before the one whose turn it is, is of no use to those that wait for its purge.
        let own = attempt.run().what.step <= RevocationStep::Delete;
        let mut tables = if own { attempt.run().what.tables.clone() } else { Vec::new() };
        let known = tables.len();
        for declared in self.pipeline.tables() {
            let wanted = erases || declared.zone != Zone::Landing;
            if !wanted || tables.iter().any(|table| table.table == declared.name) {
                continue;
            }
            let current = self.lake.current(declared.zone.name(), &declared.name).await?;
            let Some(current) = current else { continue };
            tables.push(CertifiedTable {
                table: declared.name,
                version_before: current.version(),
                rows_before: current.files()?.rows(),
                ..CertifiedTable::default()
            });
        }
        if own && tables.len() > known {
            attempt.run().what.tables.clone_from(&tables);
            attempt.told().await?;
        }
        for part in parts {
            if part.run.what.tables.is_empty() {
                part.run.what.tables.clone_from(&tables);
                if !own {
                    attempt.tell(&part.run).await?;
                }
            }
        }
        Ok(())
    }

    /// The zone of a table of the pipeline, those of rejected records included.
    fn zone(&self, name: &str) -> Option<Zone> {
        let mut tables = self.pipeline.tables().into_iter();
        tables.find(|table| table.name == name).map(|table| table.zone)
    }

    /// The same table once everything is deleted.
    async fn after(&self, table: CertifiedTable) -> Result<CertifiedTable, ConsentError> {
        let Some(zone) = self.zone(&table.table).map(Zone::name) else { return Ok(table) };
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
