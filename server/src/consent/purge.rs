//! Step three, of an erasure five: what the tables leave behind is removed for good.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use chrono::Utc;
use stedi_openapi::{CertifiedTable, RevocationStep};

use super::error::ConsentError;
use super::saga::{OTHERS, Part, Saga, pause};
use crate::lake::{Pins, PurgeOrder, Purged};
use crate::ledger::Attempt;
use crate::maintenance::Purging;

/// How soon a table is looked at again that somebody else is at.
const AGAIN: Duration = Duration::from_secs(1);
/// How late: what it waits for may end earlier.
const AT_THE_LATEST: Duration = Duration::from_secs(60);

impl Saga {
    /// Purges every table of the versions that may hold the rows of the one whose turn it is, then lifts
    /// the denial; of the others too whose rows went with that. One that comes meanwhile does not make
    /// it wait longer. False where the attempt is to stop.
    pub(super) async fn purge(
        &self,
        attempt: &Attempt<'_, Self>,
        parts: &mut [Part],
    ) -> Result<bool, ConsentError> {
        let own = parts.iter().filter(|part| part.own).flat_map(|part| &part.run.what.tables);
        let through = own.map(|table| (table.table.clone(), table.version_after)).collect();
        // The version with which the history of each begins; none of a table that is not there.
        let mut begins: BTreeMap<String, Option<u64>> = BTreeMap::new();
        let all = self.purge_tables(attempt, through, |table, purged| {
            begins.insert(table.to_owned(), purged.map(|purged| purged.version));
            if let Some(purged) = purged {
                note(parts, purged);
            }
        });
        if !all.await? {
            return Ok(false);
        }
        let gone = |table: &CertifiedTable| {
            let begins = begins.get(&table.table);
            begins.is_some_and(|begins| begins.is_none_or(|begins| begins >= table.version_after))
        };
        let done = |part: &&mut Part| part.own || part.run.what.tables.iter().all(gone);
        let parts: Vec<&mut Part> = parts.iter_mut().filter(done).collect();
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

    /// Purges tables, each through a version, and says what became of each (nothing where there is no
    /// such table). Who comes meanwhile waits for one table at most until their rows are taken out, and
    /// no table waits for more than one such round. False where the attempt is to stop.
    async fn purge_tables(
        &self,
        attempt: &Attempt<'_, Self>,
        mut through: BTreeMap<String, u64>,
        mut done: impl FnMut(&str, Option<&Purged>),
    ) -> Result<bool, ConsentError> {
        let mut looked_at = Instant::now();
        while !through.is_empty() {
            let (mut until, mut why) = (None::<i64>, String::new());
            for (table, version) in through.clone() {
                if looked_at.elapsed() >= OTHERS {
                    self.catch_up(attempt).await?;
                    looked_at = Instant::now();
                    if attempt.stop.is_cancelled() {
                        return Ok(false);
                    }
                }
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
                        done(&table, Some(&purged));
                        through.remove(&table);
                    }
                    Ok(Purging::NoTable) => {
                        done(&table, None);
                        through.remove(&table);
                    }
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
            let end = Instant::now() + left.clamp(AGAIN, AT_THE_LATEST);
            loop {
                let came = self.catch_up(attempt).await?;
                looked_at = Instant::now();
                let left = end.saturating_duration_since(looked_at).min(OTHERS);
                if came > 0 || left.is_zero() {
                    break;
                }
                if !pause(attempt, left, &why).await {
                    return Ok(false);
                }
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
