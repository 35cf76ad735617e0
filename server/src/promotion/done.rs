//! What a run did with a table, as the table's own history tells it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::error::PromotionError;
use super::plan::{Mode, Why};
use super::run::{Promotion, TableRun};
use crate::lake::{CommitTime, Committed};

impl Promotion {
    /// What a run did with a table, if the table's newest commit is of this run.
    pub(super) async fn done_in(
        &self,
        table: &str,
        run: &str,
    ) -> Result<Option<TableRun>, PromotionError> {
        let Some(table) = self.current(table).await? else { return Ok(None) };
        let newest = CommitTime { version: table.version(), millis: 0 };
        let newest = table.history(&[newest]).await?;
        let own = |commit: &Committed| commit.info.get("run").and_then(Value::as_str) == Some(run);
        Ok(newest.into_iter().find(own).and_then(|commit| told(table.name(), commit)))
    }
}

fn told(table: &str, commit: Committed) -> Option<TableRun> {
    let info = |name: &str| commit.info.get(name);
    let of = |name: &str| serde_json::from_value(info(name)?.clone()).ok();
    let sources: BTreeMap<String, u64> =
        info("sources").and_then(|sources| serde_json::from_value(sources.clone()).ok())?;
    Some(TableRun {
        table: table.to_owned(),
        mode: Mode::parse(info("mode")?.as_str()?)?,
        why: Why {
            reason: info("why")?.as_str()?.to_owned(),
            sources: of("changed").unwrap_or_default(),
        },
        rows_inserted: commit.rows_inserted.unwrap_or_default(),
        rows_deleted: commit.rows_deleted.unwrap_or_default(),
        sources: sources.into_iter().collect(),
        version: commit.version,
        millis: 0,
        checks: Vec::new(),
    })
}
