//! Snapshots that make themselves: after promotions.

use std::time::Duration;

use stedi_openapi::{PromotionInfo, SnapshotRequest, WorkState};

use super::error::SnapshotError;
use super::service::Snapshots;
use crate::ledger::Asker;
use crate::ledger::audit::{Action, Audit, Draft, End};
use crate::pipeline::Sight;
use crate::promotion::Promotions;

/// How often it is looked for what other servers promoted, and tried again what could not be made.
const LOOK: Duration = Duration::from_secs(10);

impl Snapshots {
    /// Makes a snapshot after each promotion that succeeded and changed a table of it, until the
    /// server stops. All servers of a lake do: its key is the promotion. Promotions that end while
    /// one is made share the next.
    pub async fn keep_following_promotions(&self, promotions: &Promotions, audit: &Audit) {
        if !self.rules().after_promotion {
            return;
        }
        let stopping = promotions.work().stopping();
        let mut followed = None;
        while !stopping.is_cancelled() {
            // Before the look, or an end right behind it is not heard of.
            let ended = promotions.work().ended();
            tokio::pin!(ended);
            ended.as_mut().enable();
            match self.follow(promotions, followed.as_deref(), audit).await {
                Ok(id) => followed = id,
                // That of the customers who withdrew is under way.
                Err(SnapshotError::Redacting) => {}
                Err(error) => tracing::warn!(%error, "no snapshot was made after a promotion"),
            }
            tokio::select! {
                () = ended => {}
                () = tokio::time::sleep(LOOK) => {}
                () = stopping.cancelled() => {}
            }
        }
    }

    /// Follows the newest promotion that succeeded, unless it was followed; its id.
    async fn follow(
        &self,
        promotions: &Promotions,
        followed: Option<&str>,
        audit: &Audit,
    ) -> Result<Option<String>, SnapshotError> {
        let succeeded = |run: &PromotionInfo| run.state == WorkState::Succeeded;
        let (page, _) = promotions.work().page(1, None, succeeded).await?;
        let Some(run) = page.into_iter().next() else { return Ok(None) };
        if followed == Some(run.id.as_str()) {
            return Ok(Some(run.id));
        }
        let by = Asker::service().principal;
        let key = format!("promotion {}", run.id);
        if self.has_made(&by, &key).await? || self.is_newest().await? {
            return Ok(Some(run.id));
        }
        let manifest =
            self.create(&by, &Sight::All, &SnapshotRequest::default(), Some(&key)).await?;
        tracing::info!(snapshot = manifest.id, promotion = run.id, "made after it");
        let tables = manifest.tables.iter();
        let tables = tables.map(|table| (table.table.clone(), Some(table.version)));
        let draft =
            Draft { principal: Some(by), ..Draft::new(Action::Snapshot, "after a promotion") };
        let end = End { tables: Some(tables.collect()), ..End::ok() };
        audit.record(draft, end).await?;
        Ok(Some(run.id))
    }

    /// Whether the newest snapshot has all tables of one that names none, as they are now.
    async fn is_newest(&self) -> Result<bool, SnapshotError> {
        let Some((id, _)) = self.inner.shelf.index().await?.into_iter().next() else {
            return Ok(false);
        };
        let Some(record) = self.inner.shelf.get(&id).await? else { return Ok(false) };
        let tables = self.inner.pipeline.snapshot.tables.iter();
        let mut same = record.manifest.tables.len() == tables.len();
        for name in tables {
            let made = record.manifest.tables.iter().find(|table| table.table == *name);
            let Some(made) = made else { return Ok(false) };
            let declared = self.inner.pipeline.derived.iter().find(|derived| derived.name == *name);
            let Some(declared) = declared else { return Ok(false) };
            let now = self.inner.lake.current(declared.zone.name(), name).await?;
            same &= now.is_some_and(|now| now.version() == made.version);
        }
        Ok(same)
    }
}
