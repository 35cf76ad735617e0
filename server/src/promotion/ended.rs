//! Whose consent ended: who left the table of those who consent since somebody looked, and who will
//! leave it by the next promotion.
//!
//! A promotion may take rows out before anybody looked, so what will leave is not enough. The table's
//! own log tells who left, commit by commit, until it is purged.

use std::collections::BTreeSet;
use std::sync::Arc;

use deltalake::datafusion::common::JoinType;
use deltalake::datafusion::dataframe::DataFrame;
use deltalake::datafusion::logical_expr::{ident, lit};
use deltalake::datafusion::prelude::SessionContext;
use futures::StreamExt;
use serde::{Deserialize, Serialize};

use super::error::PromotionError;
use super::lineage::DEFINITION;
use super::run::Promotion;
use super::touched::{add, among, values};
use crate::lake::{DataFiles, Step, Table};
use crate::pipeline::{Consent, Derived, SUBJECT_ID, Zone};

/// Up to where it was looked: a version of the table of those who consent, and what it was made from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looked {
    /// The version.
    pub version: u64,
    /// The version of the customers' records that is in it.
    pub customers: u64,
    /// The version of the revocations that is in it.
    pub revocations: u64,
    /// The digest of its definition.
    pub definition: Option<i64>,
}

/// Subjects who have no row any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// All of them.
    pub all: BTreeSet<String>,
    /// Those who withdrew their consent by a record. The others did by a request since then, which is
    /// a row of the revocations, or do not count by another SELECT.
    pub withdrew: BTreeSet<String>,
}

/// Whose consent ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Up to where it was looked.
    pub looked: Looked,
    /// Who left, commit by commit.
    pub left: Vec<Left>,
    /// Who will leave by the next promotion.
    pub leaving: Left,
}

impl Looked {
    /// Behind one more commit.
    fn after(&self, step: &Step, consent: &Consent) -> Self {
        let version = |table: &str, known: u64| {
            let included = step.txns.get(table).map(|version| u64::try_from(*version));
            included.map_or(known, |version| version.unwrap_or(known))
        };
        Self {
            version: step.version,
            customers: version(&consent.customers, self.customers),
            revocations: version(&consent.revocations, self.revocations),
            definition: step.txns.get(DEFINITION).copied().or(self.definition),
        }
    }
}

impl Promotion {
    /// Whose consent ended since it was looked. Nothing is changed.
    ///
    /// # Errors
    /// If a table cannot be read.
    pub async fn ended(&self, consent: &Consent, since: &Looked) -> Result<Ended, PromotionError> {
        let named = |derived: &&Derived| derived.name == consent.consenting;
        let derived = self.pipeline.derived.iter().find(named);
        let derived =
            derived.ok_or_else(|| PromotionError::NotDerived(consent.consenting.clone()))?;
        let target = self.target(derived).await?;
        let (mut looked, mut left) = (since.clone(), Vec::new());
        match target.steps_since(since.version).await? {
            Ok(steps) => {
                for step in steps {
                    let next = looked.after(&step, consent);
                    let other = looked.definition.is_some() && looked.definition != next.definition;
                    let all = self.gone(&step).await?;
                    left.push(self.of(consent, &looked, other, all).await?);
                    looked = next;
                }
            }
            Err(untold) => {
                let all = self.gone_since(derived, &target, since.version).await?;
                tracing::warn!(
                    table = target.name(),
                    since = since.version,
                    reason = untold.reason(),
                    told = all.is_some(),
                    "whose consent ended is not told by commits"
                );
                left.push(self.of(consent, since, false, all.unwrap_or_default()).await?);
                looked = self.made_from(consent, &target).await?;
            }
        }
        looked.version = target.version();
        left.retain(|left| !left.all.is_empty());
        let (all, other) = self.leaving(derived, &target).await?;
        let leaving = self.of(consent, &looked, other, all).await?;
        Ok(Ended { looked, left, leaving })
    }

    /// Who lost their last row by a commit.
    async fn gone(&self, step: &Step) -> Result<BTreeSet<String>, PromotionError> {
        let session = self.lake.sessions().session();
        let rows = |files: &DataFiles, kind: &str| {
            let rows = session.read_table(Arc::new(files.clone()))?;
            match step.kind {
                Some(column) => rows.filter(ident(column).eq(lit(kind))),
                None => Ok(rows),
            }
        };
        let failed = PromotionError::reading(step.gone.table());
        if step.gone.is_empty() {
            return Ok(BTreeSet::new());
        }
        let gone = rows(&step.gone, "delete").map_err(failed)?;
        let came = rows(&step.came, "insert").map_err(failed)?;
        who_is_only_in(gone, came).await.map_err(failed)
    }

    /// Who has rows in a version and none in the newest; `None` if the version cannot be read.
    async fn gone_since(
        &self,
        derived: &Derived,
        target: &Table,
        version: u64,
    ) -> Result<Option<BTreeSet<String>>, PromotionError> {
        if version > target.version() {
            return Ok(None);
        }
        let Ok(past) = self.lake.past(derived.zone.name(), target, version).await else {
            return Ok(None);
        };
        let session: SessionContext = self.lake.sessions().session();
        let before = session.read_table(Arc::new(past.files()?));
        let now = session.read_table(Arc::new(target.files()?));
        let failed = PromotionError::reading(target.name());
        let (before, now) = (before.map_err(failed)?, now.map_err(failed)?);
        // A file that is not there any more tells nothing.
        Ok(who_is_only_in(before, now).await.ok())
    }

    /// What a version is made from, as its log says.
    async fn made_from(&self, consent: &Consent, target: &Table) -> Result<Looked, PromotionError> {
        let ids = [consent.customers.as_str(), consent.revocations.as_str(), DEFINITION];
        let found = target.txns(&ids).await?;
        let version = |at: usize| {
            let found = found.get(at).copied().flatten();
            found.and_then(|version| u64::try_from(version).ok()).unwrap_or_default()
        };
        Ok(Looked {
            version: target.version(),
            customers: version(0),
            revocations: version(1),
            definition: found.get(2).copied().flatten(),
        })
    }

    /// Of those who left behind a version, who withdrew by a record. A consent that another SELECT does
    /// not take for one is not withdrawn, unless a record of the customer arrived as well.
    async fn of(
        &self,
        consent: &Consent,
        before: &Looked,
        other_definition: bool,
        all: BTreeSet<String>,
    ) -> Result<Left, PromotionError> {
        let mut withdrew = all.clone();
        let revoked = self.arrived(&consent.revocations, before.revocations, &withdrew).await?;
        let revoked = revoked.unwrap_or_default();
        withdrew.retain(|subject| !revoked.contains(subject));
        if other_definition
            && let Some(told) =
                self.arrived(&consent.customers, before.customers, &withdrew).await?
        {
            withdrew.retain(|subject| told.contains(subject));
        }
        Ok(Left { all, withdrew })
    }

    /// Those of some subjects of whom rows arrived in a landing table after a version; `None` if that
    /// cannot be told.
    async fn arrived(
        &self,
        table: &str,
        version: u64,
        subjects: &BTreeSet<String>,
    ) -> Result<Option<BTreeSet<String>>, PromotionError> {
        let mut arrived = BTreeSet::new();
        if subjects.is_empty() {
            return Ok(Some(arrived));
        }
        let Some(table) = self.lake.current(Zone::Landing.name(), table).await? else {
            return Ok(Some(arrived));
        };
        let Ok(changes) = table.changes_since(version).await? else { return Ok(None) };
        let session = self.lake.sessions().session();
        let theirs = (Some(among(SUBJECT_ID, subjects)), usize::MAX);
        values(&session, &changes.inserted, SUBJECT_ID, theirs, &mut arrived).await?;
        Ok(Some(arrived))
    }
}

/// The subjects of some rows that none of others have.
async fn who_is_only_in(
    these: DataFrame,
    others: DataFrame,
) -> Result<BTreeSet<String>, deltalake::datafusion::error::DataFusionError> {
    let these = these.select(vec![ident(SUBJECT_ID)])?;
    let others = others.select(vec![ident(SUBJECT_ID).alias("stays")])?;
    let only = these.join(others, JoinType::LeftAnti, &[SUBJECT_ID], &["stays"], None)?;
    let mut rows = only.execute_stream().await?;
    let mut subjects = BTreeSet::new();
    while let Some(batch) = rows.next().await {
        add(&batch?, &mut subjects)?;
    }
    Ok(subjects)
}
