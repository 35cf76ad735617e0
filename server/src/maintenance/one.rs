//! One table: everything that is due, under its lease.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use stedi_openapi::{MaintainedState, MaintainedTable};
use tokio_util::sync::CancellationToken;

use super::error::MaintenanceError;
use super::service::Inner;
use super::target::Target;
use crate::lake::{Author, Lake, LakeError, Table, Watch};
use crate::ledger::{Lease, LedgerError};

/// Compactions of a table in one go; the next maintenance goes on.
const ROUNDS: usize = 16;
/// How often files are chosen anew that others replaced meanwhile.
const ATTEMPTS: usize = 3;

/// Why a maintenance ends before everything is done.
enum Halted {
    /// In words.
    Skipped(&'static str),
    /// Somebody stops it.
    Cancelled,
    Failed(MaintenanceError),
}

impl From<LakeError> for Halted {
    fn from(error: LakeError) -> Self {
        match error {
            LakeError::Cancelled => Self::Cancelled,
            error => Self::Failed(error.into()),
        }
    }
}

impl From<LedgerError> for Halted {
    fn from(error: LedgerError) -> Self {
        Self::Failed(error.into())
    }
}

/// A table that this server maintains.
struct One<'a> {
    inner: &'a Inner,
    target: &'a Target,
    author: &'a Author,
    lease: &'a Lease,
    watch: Arc<Watch>,
}

impl Inner {
    /// Does what is due with a table, and says what it was. Files that nothing refers to are looked
    /// for if it is time, or `now`.
    pub(super) async fn maintain(
        &self,
        target: &Target,
        author: &Author,
        cancel: &CancellationToken,
        now: bool,
    ) -> MaintainedTable {
        let started = Instant::now();
        let mut report = MaintainedTable::queued(&target.name);
        let outcome = self.under_lease(target, author, cancel, now, &mut report).await;
        let skipped = |report: &mut MaintainedTable, why: &str| {
            report.state = MaintainedState::Skipped;
            report.why = Some(why.to_owned());
        };
        match outcome {
            Ok(()) => report.state = MaintainedState::Done,
            Err(Halted::Skipped(why)) => skipped(&mut report, why),
            Err(Halted::Cancelled) => skipped(&mut report, "it was cancelled"),
            Err(Halted::Failed(error)) => {
                tracing::error!(table = target.name, %error, "maintenance failed");
                report.state = MaintainedState::Failed;
                report.error = Some(error.problem());
            }
        }
        report.millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.lake.metrics().maintained(&report, started.elapsed());
        if report.changed() {
            tracing::info!(
                table = report.table,
                version = report.version,
                checkpoint = report.checkpoint,
                files_before = report.files_before,
                files_after = report.files_after,
                commits_removed = report.commits_removed,
                files_removed = report.files_removed,
                millis = report.millis,
                "maintenance"
            );
        }
        report
    }

    async fn under_lease(
        &self,
        target: &Target,
        author: &Author,
        cancel: &CancellationToken,
        now: bool,
        report: &mut MaintainedTable,
    ) -> Result<(), Halted> {
        let Some(lease) = self.leases.take(&format!("maintain-{}", target.name)).await? else {
            return Err(Halted::Skipped("it is being maintained already"));
        };
        let (lost, stop) = (lease.lost(), cancel.child_token());
        let watch = Arc::new(Watch::new(stop.clone()));
        let one = One { inner: self, target, author, lease: &lease, watch };
        let outcome = {
            let steps = one.steps(now, report);
            tokio::pin!(steps);
            tokio::select! {
                outcome = &mut steps => outcome,
                () = lost.cancelled() => {
                    // It ends at its next look, with nothing half done.
                    stop.cancel();
                    steps.await
                }
            }
        };
        let outcome = match outcome {
            Err(Halted::Cancelled) if lost.is_cancelled() && !cancel.is_cancelled() => {
                Err(Halted::Skipped("another server took it over"))
            }
            outcome => outcome,
        };
        if let Err(error) = lease.release().await {
            tracing::warn!(table = target.name, %error, "a lease was not released; it runs out");
        }
        outcome
    }
}

impl One<'_> {
    async fn steps(&self, now: bool, report: &mut MaintainedTable) -> Result<(), Halted> {
        let Target { name, folder, .. } = self.target;
        let Some(mut table) = self.inner.lake.current(folder, name).await? else { return Ok(()) };
        report.version = Some(table.version());
        if now || self.inner.files_are_due(name) {
            self.remove_files(&table, report).await?;
            self.inner.files_were_seen(name);
        }
        let compacted = self.compact(&mut table, report).await;
        report.version = Some(table.version());
        // A table that others keep changing still gets its checkpoint.
        if !matches!(compacted, Ok(()) | Err(Halted::Skipped(_))) {
            return compacted;
        }
        if table.commits_since_checkpoint().await? >= self.inner.rules.checkpoint_commits {
            self.go_on().await?;
            table.checkpoint(&self.inner.lake, folder).await?;
            report.checkpoint = Some(table.version());
        }
        self.cut_log(&table, report).await?;
        compacted
    }

    /// Removes the files that nothing refers to.
    async fn remove_files(
        &self,
        table: &Table,
        report: &mut MaintainedTable,
    ) -> Result<(), Halted> {
        let before = past(self.inner.rules.file_retention);
        let files = table.unreferenced(before).await?;
        let files = files.but_for(&self.inner.pinned.of(&self.target.name).await?);
        if !files.is_empty() {
            self.go_on().await?;
            (report.files_removed, report.bytes_removed) = files.remove(&self.watch).await?;
        }
        let Target { name, folder, .. } = self.target;
        let drafts = self.inner.lake.remove_drafts(folder, name, before, before).await?;
        report.files_removed += drafts.files;
        report.bytes_removed += drafts.bytes;
        Ok(())
    }

    /// Rewrites small and scattered files.
    async fn compact(&self, table: &mut Table, report: &mut MaintainedTable) -> Result<(), Halted> {
        let Target { name, folder, clustered_by, loaded, .. } = self.target;
        let lake = &self.inner.lake;
        let by: Vec<&str> = clustered_by.iter().map(String::as_str).collect();
        let mut conflicts = 0;
        for _ in 0..ROUNDS {
            let files = table.to_compact(&by, self.inner.rules.compaction)?;
            if files.is_empty() {
                break;
            }
            let into = if *loaded { table.apart() } else { table.clone() };
            let rewritten = into.rewrite(lake, files, &by, &self.watch).await?;
            if let Err(halted) = self.go_on().await {
                rewritten.discard().await;
                return Err(halted);
            }
            match rewritten.commit(lake, folder, self.author).await {
                Ok(compacted) => {
                    report.files_before += compacted.files_before;
                    report.files_after += compacted.files_after;
                    report.bytes_before += compacted.bytes_before;
                    report.bytes_after += compacted.bytes_after;
                    *table = compacted.table;
                }
                Err(LakeError::Conflict { .. }) => {
                    conflicts += 1;
                    let Some(newest) = lake.current(folder, name).await? else { return Ok(()) };
                    *table = newest;
                    if conflicts == ATTEMPTS {
                        return Err(Halted::Skipped(
                            "others keep changing it; it is not compacted",
                        ));
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Removes what nobody needs from the log.
    async fn cut_log(&self, table: &Table, report: &mut MaintainedTable) -> Result<(), Halted> {
        let since = past(self.inner.rules.log_retention);
        let known = known_by_readers(&self.inner.lake, self.target).await?;
        let needed = known.iter().map(|(_, version)| *version).min();
        let log = table.past_log(since, needed).await?;
        if log.held {
            let holding = known.into_iter().filter(|(_, version)| Some(*version) == needed);
            report.log_kept_for = holding.map(|(name, _)| name).collect();
        }
        if !log.is_empty() {
            self.go_on().await?;
            report.commits_removed = log.remove(&self.watch).await?;
        }
        Ok(())
    }

    /// To be asked before anything is committed or removed.
    async fn go_on(&self) -> Result<(), Halted> {
        self.watch.go_on()?;
        match self.lease.is_held().await? {
            true => Ok(()),
            false => Err(Halted::Skipped("another server took it over")),
        }
    }
}

/// Up to which version each table that is derived from this one knows it: the `txn` action of its log
/// that has this table's name, and what a purge says of the versions after it. One that has none will
/// be made anew anyway.
pub(super) async fn known_by_readers(
    lake: &Lake,
    target: &Target,
) -> Result<Vec<(String, u64)>, LakeError> {
    let mut known = Vec::new();
    let Some(table) = lake.current(target.folder, &target.name).await? else { return Ok(known) };
    for (folder, name) in &target.readers {
        let Some(reader) = lake.current(folder, name).await? else { continue };
        if let Some(version) = reader.txn(&target.name).await? {
            known.push((name.clone(), table.caught_up(version.unsigned_abs()).await?));
        }
    }
    Ok(known)
}

/// The moment so long ago, in epoch milliseconds.
fn past(time: Duration) -> i64 {
    let time = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    Utc::now().timestamp_millis().saturating_sub(time)
}
