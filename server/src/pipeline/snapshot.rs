//! What a pipeline says of snapshots.

use std::collections::BTreeMap;

use super::check::identifier;
use super::error::PipelineError;
use super::files::DECLARATION;
use super::model::SnapshotRules;
use super::spec::Spec;
use super::zone::Zone;

/// How people are split where the pipeline does not say it.
const SPLITS: [(&str, u32); 3] = [("train", 80), ("validation", 10), ("test", 10)];

/// Which tables a snapshot has that names none, and how people are split.
pub(super) fn snapshot(spec: &Spec) -> Result<SnapshotRules, PipelineError> {
    let wrong = |reason: String| PipelineError::Snapshot { file: DECLARATION.to_owned(), reason };
    let curated = spec.derived.iter().filter(|table| table.zone == Zone::Curated);
    let tables = match &spec.snapshot.tables {
        None => curated.map(|table| table.name.clone()).collect(),
        Some(tables) => tables.clone(),
    };
    if let Some(name) = tables.iter().find(|name| !spec.derived.iter().any(|it| it.name == **name))
    {
        return Err(wrong(format!("{name} is not a derived table")));
    }
    let splits = match &spec.snapshot.splits {
        None => SPLITS.map(|(name, share)| (name.to_owned(), share)).into(),
        Some(splits) => splits.clone(),
    };
    for name in splits.keys() {
        identifier(name).map_err(|reason| wrong(format!("split {name:?} {reason}")))?;
    }
    match total(&splits) {
        1..=1_000_000 => {
            Ok(SnapshotRules { tables, splits, after_promotion: spec.snapshot.after_promotion })
        }
        _ => Err(wrong("the shares of all splits must be 1 to 1000000 together".to_owned())),
    }
}

fn total(splits: &BTreeMap<String, u32>) -> u64 {
    splits.values().map(|share| u64::from(*share)).sum()
}
