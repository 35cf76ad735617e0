//! Who is in a table and would not be, were it brought up to date.

use std::collections::BTreeSet;
use std::sync::Arc;

use deltalake::datafusion::common::JoinType;
use deltalake::datafusion::dataframe::DataFrame;
use deltalake::datafusion::logical_expr::ident;
use futures::StreamExt;

use super::error::PromotionError;
use super::lineage::{Lineage, Unknown};
use super::plan::Plan;
use super::run::Promotion;
use super::select::select;
use super::sources::Sources;
use super::touched::{Touched, add, among, values};
use crate::lake::Table;
use crate::pipeline::{Derived, SUBJECT_ID};

impl Promotion {
    /// The subjects whose rows the next promotion will take out of a version of a derived table, and
    /// give no others in their place; and whether the table was made by another SELECT than it will be.
    ///
    /// # Errors
    /// If its sources cannot be read.
    pub(super) async fn leaving(
        &self,
        derived: &Derived,
        target: &Table,
    ) -> Result<(BTreeSet<String>, bool), PromotionError> {
        let table = derived.name.as_str();
        let held = target.files()?;
        let mut leaving = BTreeSet::new();
        if held.is_empty() {
            return Ok((leaving, false));
        }
        let sources = Sources::open(&self.lake, &self.pipeline, derived).await?;
        let definition = derived.definition(&self.pipeline.options, &self.key_id);
        let lineage = Lineage::new(&sources, definition);
        let known = lineage.known_in(target).await?;
        let redefined = matches!(known, Err(Unknown::OtherDefinition | Unknown::OtherSources));
        let session = self.lake.sessions().session();
        let only = match Plan::make(derived, target, &sources, &lineage).await? {
            Plan::Nothing { .. } | Plan::Append(_) => return Ok((leaving, redefined)),
            Plan::Rebuild(_) => None,
            Plan::Subjects(changed) => {
                let pipeline = &self.pipeline;
                let touched =
                    Touched::find(&session, pipeline, derived, &sources, &changed, &self.claims);
                touched.await?.ok().map(|touched| touched.rows(&derived.replace_by))
            }
        };
        for source in sources.all() {
            source.register(&session, source.table())?;
        }
        let now = select(&session, derived, &self.pipeline.options, only.clone()).await?;
        let failed = PromotionError::reading(table);
        let gone = || {
            let now = DataFrame::new(session.state(), now);
            let now = now.select(vec![ident(SUBJECT_ID).alias("stays")])?;
            let mut before = session.read_table(Arc::new(held))?;
            if let Some(only) = only {
                before = before.filter(only)?;
            }
            let before = before.select(vec![ident(SUBJECT_ID)])?;
            before.join(now, JoinType::LeftAnti, &[SUBJECT_ID], &["stays"], None)
        };
        let mut rows = gone().map_err(failed)?.execute_stream().await.map_err(failed)?;
        while let Some(batch) = rows.next().await {
            add(&batch.map_err(failed)?, &mut leaving).map_err(failed)?;
        }
        Ok((leaving, redefined))
    }

    /// Those of some subjects who have no row in a derived table.
    ///
    /// # Errors
    /// [`PromotionError::NotDerived`], or if it cannot be read.
    pub async fn not_in(
        &self,
        table: &str,
        mut subjects: BTreeSet<String>,
    ) -> Result<BTreeSet<String>, PromotionError> {
        let current = self.current(table).await?;
        let current = current.ok_or_else(|| PromotionError::NotDerived(table.to_owned()))?;
        let session = self.lake.sessions().session();
        let theirs = (Some(among(SUBJECT_ID, &subjects)), usize::MAX);
        let mut there = BTreeSet::new();
        values(&session, &current.files()?, SUBJECT_ID, theirs, &mut there).await?;
        subjects.retain(|subject| !there.contains(subject));
        Ok(subjects)
    }
}
