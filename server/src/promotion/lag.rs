//! How far derived tables are behind their sources.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::Utc;

use super::error::PromotionError;
use super::lineage::DEFINITION;
use super::run::Promotion;
use super::service::Promotions;
use crate::pipeline::Derived;

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(15);

/// How far all derived tables are behind, as it was last seen.
#[derive(Clone, Debug, Default)]
pub struct Lag(BTreeMap<String, Behind>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Behind {
    /// The versions of table and sources that were looked at; while they stay, so does the rest.
    seen: Vec<u64>,
    /// When the oldest change was made that is not in the table, in epoch milliseconds.
    since: Option<i64>,
    /// Versions of sources from their first change on that is not in the table.
    versions: u64,
}

impl Promotions {
    /// Measures the lag of all derived tables until the server stops.
    pub async fn keep_measuring_lag(&self) {
        let mut lag = Lag::default();
        while !self.work().stopping().is_cancelled() {
            self.measure_lag(&mut lag).await;
            let _ = tokio::time::timeout(LOOK, self.work().stopping().cancelled()).await;
        }
    }

    /// Measures the lag of all derived tables once. Where it cannot be looked, it grows on by the
    /// clock.
    pub async fn measure_lag(&self, lag: &mut Lag) {
        let promotion = &self.work().kind().promotion;
        for derived in &promotion.pipeline.derived {
            let known = lag.0.entry(derived.name.clone()).or_default();
            match promotion.behind(derived, known).await {
                Ok(behind) => *known = behind,
                Err(error) => {
                    let table = &derived.name;
                    tracing::warn!(%error, table, "it was not looked how far a table is behind");
                }
            }
            let since = known.since.map(|since| Utc::now().timestamp_millis() - since);
            let seconds = since.map_or(0.0, |millis| millis.max(0) as f64 / 1000.0);
            promotion.lake.metrics().promotion_lag(&derived.name, seconds, known.versions);
        }
    }
}

impl Promotion {
    /// How far a table is behind; `known` is what was seen last.
    async fn behind(&self, derived: &Derived, known: &Behind) -> Result<Behind, PromotionError> {
        let Some(table) = self.lake.newest(derived.zone.name(), &derived.name).await? else {
            return Ok(Behind::default());
        };
        let mut sources = Vec::new();
        for source in &derived.sources {
            let zone = self.pipeline.zone(source);
            if let Some(zone) = zone
                && let Some(source) = self.lake.newest(zone.name(), source).await?
            {
                sources.push(source);
            }
        }
        let seen = std::iter::once(&table).chain(&sources).map(|table| table.version()).collect();
        if seen == known.seen {
            return Ok(known.clone());
        }
        let ids = sources.iter().map(|source| source.name()).chain([DEFINITION]);
        let mut found = table.txns(&ids.collect::<Vec<_>>()).await?;
        let definition = derived.definition(&self.pipeline.options, &self.key_id);
        // What another definition made is to be made anew, as if nothing were in it.
        let is_current = found.pop().flatten() == Some(definition);
        let mut behind = Behind { seen, since: None, versions: 0 };
        for (source, version) in sources.iter().zip(found) {
            let version = version.filter(|_| is_current).unwrap_or_default();
            let taken_in = u64::try_from(version).unwrap_or_default();
            if let Some((first, since)) = source.first_change_after(taken_in).await? {
                behind.since = Some(behind.since.map_or(since, |known| known.min(since)));
                behind.versions += source.version() + 1 - first;
            }
        }
        Ok(behind)
    }
}
