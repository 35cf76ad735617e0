//! What a snapshot says of itself.

use std::collections::BTreeMap;

use deltalake::arrow::datatypes::SchemaRef;
use sha2::{Digest, Sha256};
use stedi_openapi::{Manifest, SnapshotColumn, SnapshotFile, SnapshotTable};

use super::error::SnapshotError;
use super::measure::{Measured, Values};
use crate::pipeline::Column;
use crate::query::sql_name;

/// The id of a snapshot: the SHA-256, in hexadecimal, of its canonical form (RFC 8785) without `id`,
/// `name` and `superseded_by`.
pub fn id(manifest: &Manifest) -> Result<String, SnapshotError> {
    let failed = |error: serde_json::Error| SnapshotError::Manifest(error.to_string());
    let mut value = serde_json::to_value(manifest).map_err(failed)?;
    if let Some(members) = value.as_object_mut() {
        for name in ["id", "name", "superseded_by"] {
            members.remove(name);
        }
    }
    let canonical = serde_json_canonicalizer::to_vec(&value).map_err(failed)?;
    Ok(hex::encode(Sha256::digest(&canonical)))
}

/// A table as a manifest has it, and where each of its files lies, by digest.
pub(super) fn table(
    table: &str,
    version: u64,
    schema: &SchemaRef,
    columns: &[Column],
    files: &[Measured],
) -> (SnapshotTable, BTreeMap<String, String>) {
    let rows = files.iter().map(|file| file.rows).sum::<u64>();
    let schema = schema.fields().iter().map(|field| {
        let name = field.name();
        let values = files.iter().filter_map(|file| file.columns.get(name));
        let values = values.fold(Values::default(), Values::and);
        let class = columns.iter().find(|column| column.name == *name);
        let some = rows.saturating_sub(values.nulls);
        SnapshotColumn {
            name: name.clone(),
            kind: sql_name(field.data_type()),
            class: class.map_or("plain", |column| column.class.name()).to_owned(),
            nulls: values.nulls,
            min: values.numbers.map(|numbers| numbers.min),
            max: values.numbers.map(|numbers| numbers.max),
            mean: values.numbers.filter(|_| some > 0).map(|numbers| numbers.sum / some as f64),
        }
    });
    let mut splits = BTreeMap::<String, u64>::new();
    for (name, rows) in files.iter().flat_map(|file| &file.splits) {
        *splits.entry(name.clone()).or_default() += rows;
    }
    let file = |file: &Measured| SnapshotFile {
        path: format!("{table}/{}", file.path.rsplit('/').next().unwrap_or_default()),
        rows: file.rows,
        bytes: file.bytes,
        sha256: file.sha256.clone(),
    };
    let mut listed: Vec<SnapshotFile> = files.iter().map(file).collect();
    listed.sort_by(|a, b| a.path.cmp(&b.path));
    let places = files.iter().map(|file| (file.sha256.clone(), file.path.clone())).collect();
    let table = SnapshotTable {
        table: table.to_owned(),
        version,
        rows,
        schema: schema.collect(),
        sql: None,
        sources: BTreeMap::new(),
        splits,
        files: listed,
    };
    (table, places)
}
