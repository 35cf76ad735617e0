//! Step three, of an erasure five: what the tables leave behind is removed for good.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::Utc;
use stedi_openapi::{CertifiedTable, RevocationStep};

use super::error::ConsentError;
use super::saga::{Part, Saga, pause};
use crate::lake::{Pins, PurgeOrder, Purged};
use crate::ledger::Attempt;
use crate::maintenance::Purging;

/// How soon a table is looked at again that somebody else is at.
const AGAIN: Duration = Duration::from_secs(1);
/// How late: what it waits for may end earlier.
const AT_THE_LATEST: Duration = Duration::from_secs(60);
/// How soon it is looked whether somebody else came who must not wait for a purge.
const OTHERS: Duration = Duration::from_secs(2);

/// How a purge of tables went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Went {
    /// Everything is removed.
    Through,
    /// It has to wait, and somebody else waits whose rows are still in the tables.
    GaveWay,
    /// The attempt is to stop.
    Stopped,
}

impl Saga {
    /// Purges every table of the versions that may hold the rows of the one whose turn it is, then lifts
    /// the denial; of the others too whose rows went with that. One that comes meanwhile does not make
    /// it wait longer.
    pub(super) async fn purge(
        &self,
        attempt: &Attempt<'_, Self>,
        parts: &mut [Part],
    ) -> Result<Went, ConsentError> {
        let own = parts.iter().filter(|part| part.own).flat_map(|part| &part.run.what.tables);
        let through = own.map(|table| (table.table.clone(), table.version_after)).collect();
        // The version with which the history of each begins; none of a table that is not there.
        let mut begins: BTreeMap<String, Option<u64>> = BTreeMap::new();
        let went = self.purge_tables(attempt, through, |table, purged| {
            begins.insert(table.to_owned(), purged.map(|purged| purged.version));
            if let Some(purged) = purged {
                note(parts, purged);
            }
        });
        let went = went.await?;
        if went != Went::Through {
            return Ok(went);
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
        Ok(Went::Through)
    }
}

impl Saga {
    /// Purges tables, each through a version, and says what became of each (nothing where there is no
    /// such table).
    pub(super) async fn purge_tables(
        &self,
        attempt: &Attempt<'_, Self>,
        mut through: BTreeMap<String, u64>,
        mut done: impl FnMut(&str, Option<&Purged>),
    ) -> Result<Went, ConsentError> {
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
                    Err(_) if attempt.stop.is_cancelled() => return Ok(Went::Stopped),
                    Err(error) => return Err(error.into()),
                }
            }
            if through.is_empty() {
                break;
            }
            let left = until.map_or(0, |until| until.saturating_sub(Utc::now().timestamp_millis()));
            let left = Duration::from_millis(u64::try_from(left).unwrap_or_default());
            let mut left = left.clamp(AGAIN, AT_THE_LATEST);
            while !left.is_zero() {
                if !self.behind(attempt).await?.is_empty() {
                    return Ok(Went::GaveWay);
                }
                let now = left.min(OTHERS);
                if !pause(attempt, now, &why).await {
                    return Ok(Went::Stopped);
                }
                left = left.saturating_sub(now);
            }
        }
        Ok(Went::Through)
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
