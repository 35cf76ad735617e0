//! The purge of one table, under its lease.

use std::sync::Arc;

use chrono::Utc;
use tokio_util::sync::CancellationToken;

use super::error::MaintenanceError;
use super::one::known_by_readers;
use super::service::{Inner, Maintenance};
use super::target::Target;
use crate::lake::{LakeError, PurgeHeld, PurgeOrder, Purged, Watch};
use crate::ledger::Lease;

/// How far a purge came. Whoever asked for it asks again until it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purging {
    /// Nothing is left of what was before the order's version.
    Done(Purged),
    /// It goes on at this moment, in epoch milliseconds: until then somebody may need a file.
    Waits(Purged, i64),
    /// Nothing was done, for this reason, because of these tables.
    Held(PurgeHeld, Vec<String>),
    /// Somebody else maintains or purges the table at this moment.
    Busy,
    /// There is no such table yet, and nothing to purge.
    NoTable,
}

impl Maintenance {
    /// Leaves nothing of a table but what is read of it now, see [`PurgeOrder`]. Cancelled, or cut
    /// short in any other way, it goes on with the same order.
    ///
    /// # Errors
    /// [`MaintenanceError::UnknownTable`], [`MaintenanceError::Lake`] (also if it is cancelled),
    /// [`MaintenanceError::Ledger`].
    pub async fn purge(
        &self,
        table: &str,
        order: &PurgeOrder,
        cancel: &CancellationToken,
    ) -> Result<Purging, MaintenanceError> {
        let inner = &self.inner;
        let target = inner.targets.iter().find(|target| target.name == table);
        let target = target.ok_or_else(|| MaintenanceError::UnknownTable(table.to_owned()))?;
        let Some(lease) = inner.leases.take(&format!("maintain-{table}")).await? else {
            return Ok(Purging::Busy);
        };
        let (lost, stop) = (lease.lost(), cancel.child_token());
        let watch = Arc::new(Watch::new(stop.clone()));
        let outcome = {
            let steps = Steps { inner, target, order, lease: &lease, watch: &watch }.all();
            tokio::pin!(steps);
            tokio::select! {
                outcome = &mut steps => outcome,
                () = lost.cancelled() => {
                    stop.cancel();
                    steps.await
                }
            }
        };
        let outcome = match outcome {
            Err(MaintenanceError::Lake(LakeError::Cancelled)) if !cancel.is_cancelled() => {
                Ok(Purging::Busy)
            }
            outcome => outcome,
        };
        if let Err(error) = lease.release().await {
            tracing::warn!(table, %error, "a lease was not released; it runs out");
        }
        match &outcome {
            Ok(Purging::Done(purged)) => tracing::info!(
                table,
                version = purged.version,
                files_removed = purged.files_removed,
                commits_removed = purged.commits_removed,
                reason = purged.reason,
                "purged"
            ),
            Ok(Purging::Held(why, by)) => tracing::info!(table, ?why, ?by, "a purge is held"),
            _ => {}
        }
        outcome
    }
}

/// A purge that this server carries out.
struct Steps<'a> {
    inner: &'a Inner,
    target: &'a Target,
    order: &'a PurgeOrder,
    lease: &'a Lease,
    watch: &'a Arc<Watch>,
}

impl Steps<'_> {
    async fn all(self) -> Result<Purging, MaintenanceError> {
        let Self { inner, target, order, watch, .. } = self;
        let (lake, folder, name) = (&inner.lake, target.folder, target.name.as_str());
        loop {
            let Some(table) = lake.current(folder, name).await? else {
                return Ok(Purging::NoTable);
            };
            let known = known_by_readers(lake, target).await?;
            let readers = known.iter().map(|(_, version)| *version);
            let needed = readers.chain(order.looked).min();
            self.go_on().await?;
            let begun = lake.begin_purge(folder, name, order, needed).await?;
            let mut purged = match begun {
                Ok(purged) => purged,
                Err(why) => {
                    let behind = known.into_iter().filter(|(_, at)| *at < order.through);
                    let behind = match why {
                        PurgeHeld::Reader => behind.map(|(name, _)| name).collect(),
                        _ => Vec::new(),
                    };
                    return Ok(Purging::Held(why, behind));
                }
            };
            // One that was begun before is ended first.
            if purged.done.is_some() {
                return Ok(Purging::Done(purged));
            }
            let readable_until = order.readable_until(&purged);
            if Utc::now().timestamp_millis() < readable_until {
                return Ok(Purging::Waits(purged, readable_until));
            }
            let unfinished = table.unfinished(lake, &purged, order, target.loaded).await?;
            let data = table.past_data(&purged, order, &unfinished).await?;
            let data = data.but_for(&inner.pinned.of(name).await?);
            let mut waits_until = data.waits_until;
            if !data.is_empty() {
                self.go_on().await?;
                purged = data.remove(lake, purged, watch).await?;
            }
            let (root, apart) = (unfinished.at_root(), unfinished.apart());
            let drafts = lake.remove_drafts(folder, name, root, apart).await?;
            let theirs = drafts.youngest.filter(|written| unfinished.concerns(*written));
            waits_until = waits_until.max(theirs.map(|written| order.finished_at(written)));
            // As long as the log is there it tells whose a file is.
            if let Some(until) = waits_until {
                return Ok(Purging::Waits(purged, until));
            }
            self.go_on().await?;
            let log = table.past_commits(lake, folder, &purged, order, &unfinished).await?;
            waits_until = log.waits_until;
            if !log.is_empty() {
                self.go_on().await?;
                purged = log.remove(lake, purged, watch).await?;
            }
            if let Some(until) = waits_until {
                return Ok(Purging::Waits(purged, until));
            }
            lake.end_purge(purged).await?;
        }
    }

    /// To be asked before anything is committed or removed.
    async fn go_on(&self) -> Result<(), MaintenanceError> {
        self.watch.go_on()?;
        match self.lease.is_held().await? {
            true => Ok(()),
            false => Err(LakeError::Cancelled.into()),
        }
    }
}
