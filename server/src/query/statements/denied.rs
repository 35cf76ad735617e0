//! Results that may have rows which are denied by now.

use super::error::StatementError;
use super::record::State;
use super::service::Statements;
use crate::ledger::DenyError;
use crate::query::QueryError;

impl Statements {
    /// Removes a statement and everything of it.
    ///
    /// # Errors
    /// If the lake cannot be read or written.
    pub async fn forget(&self, id: &str) -> Result<(), StatementError> {
        self.0.shelf.remove(id).await
    }

    /// Removes the results that may have rows which are denied by now: as far as the deny list says,
    /// and as its entries are lifted once nothing is left, before they are.
    ///
    /// # Errors
    /// If the lake cannot be read or written.
    pub async fn drop_denied(&self) -> Result<u64, StatementError> {
        let inner = &self.0;
        let mut dropped = 0;
        for id in inner.shelf.ids().await? {
            let runs = inner.shelf.runs(&id).await?;
            let last = runs.last().map(|(_, run)| run.state);
            let mut denied = Vec::new();
            for (attempt, run) in &runs {
                match inner.query.reading(run.denied, &run.reads()).still().await {
                    Ok(()) => {}
                    Err(DenyError::Changed) => denied.push(*attempt),
                    Err(error) => return Err(QueryError::from(error).into()),
                }
            }
            if denied.is_empty() {
                continue;
            }
            dropped += 1;
            match last.is_some_and(State::is_final) {
                true => inner.shelf.remove(&id).await?,
                // Another attempt may be under way.
                false => {
                    for attempt in denied {
                        inner.shelf.remove_chunks(&id, attempt).await?;
                    }
                }
            }
            tracing::info!(statement = id, "its result is dropped: a consent was withdrawn");
        }
        Ok(dropped)
    }
}
