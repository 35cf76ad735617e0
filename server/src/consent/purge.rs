//! Step three, of an erasure five: what the tables leave behind is removed for good.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::Utc;
use stedi_openapi::RevocationStep;

use super::error::ConsentError;
use super::saga::{Part, Saga, pause};
use crate::lake::{Pins, PurgeOrder, Purged};
use crate::ledger::Attempt;
use crate::maintenance::Purging;

/// How soon a table is looked at again that somebody else is at.
const AGAIN: Duration = Duration::from_secs(1);

impl Saga {
    /// Purges every table of the versions that may hold the rows, then lifts the denial. False where
    /// the attempt is to stop.
    pub(super) async fn purge(
        &self,
        attempt: &Attempt<'_, Self>,
        parts: &mut [Part],
    ) -> Result<bool, ConsentError> {
        let mut through: BTreeMap<String, u64> = BTreeMap::new();
        for table in parts.iter().flat_map(|part| &part.run.what.tables) {
            let version = through.entry(table.table.clone()).or_default();
            *version = table.version_after.max(*version);
        }
        if !self.purge_tables(attempt, through, |purged| note(parts, purged)).await? {
            return Ok(false);
        }
        let requests: BTreeSet<String> = parts.iter().map(|part| part.run.id.clone()).collect();
        // Those that were written since.
        self.statements.drop_denied().await?;
        self.deny.lift(&requests).await?;
        let now = Utc::now().timestamp_millis();
        for part in parts {
            part.run.what.purged = Some(now);
            part.run.what.step = RevocationStep::Verify;
        }
        Ok(true)
    }
}

impl Saga {
    /// Purges tables, each through a version, and says what became of it. False where the attempt is to
    /// stop.
    pub(super) async fn purge_tables(
        &self,
        attempt: &Attempt<'_, Self>,
        mut through: BTreeMap<String, u64>,
        mut done: impl FnMut(&Purged),
    ) -> Result<bool, ConsentError> {
        while !through.is_empty() {
            let (mut until, mut why) = (None::<i64>, String::new());
            for (table, version) in through.clone() {
                let consenting = self.pipeline.consent.as_ref().map(|it| it.consenting.as_str());
                let mut looked = None;
                if consenting == Some(table.as_str()) {
                    self.look_on(attempt).await?;
                    looked = Some(self.looks.newest().await?.1.looked.version);
                }
                let order = PurgeOrder {
                    through: version,
                    reason: attempt.id.to_owned(),
                    grace: self.rules.grace,
                    unfinished: self.rules.unfinished,
                    pins: Pins::default(),
                    looked,
                    author: attempt.author(),
                };
                match self.maintenance.purge(&table, &order, &attempt.stop).await {
                    Ok(Purging::Done(purged)) => {
                        done(&purged);
                        through.remove(&table);
                    }
                    Ok(Purging::NoTable) => drop(through.remove(&table)),
                    Ok(Purging::Waits(_, at)) => {
                        why = format!("{table}: its files may still be read");
                        until = Some(until.map_or(at, |known| known.min(at)));
                    }
                    Ok(Purging::Busy) => why = format!("{table}: it is being maintained"),
                    Ok(Purging::Held(held, by)) => {
                        why = format!("{table}: {held:?} {}", by.join(", "));
                    }
                    Err(_) if attempt.stop.is_cancelled() => return Ok(false),
                    Err(error) => return Err(error.into()),
                }
            }
            if through.is_empty() {
                break;
            }
            let left = until.map_or(0, |until| until.saturating_sub(Utc::now().timestamp_millis()));
            let left = Duration::from_millis(u64::try_from(left).unwrap_or_default());
            if !pause(attempt, left.max(AGAIN), &why).await {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn note(parts: &mut [Part], purged: &Purged) {
    for table in parts.iter_mut().flat_map(|part| &mut part.run.what.tables) {
        if table.table == purged.table {
            table.history_from = purged.version;
            table.files_removed = purged.files_removed;
            table.bytes_removed = purged.bytes_removed;
            table.commits_removed = purged.commits_removed;
        }
    }
}
