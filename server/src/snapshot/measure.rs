//! What one file of a snapshot is: its digest, its values, its splits. A data file never changes, so it
//! is measured once and remembered.

use std::collections::BTreeMap;

use deltalake::arrow::array::{ArrayRef, AsArray, RecordBatch};
use deltalake::arrow::compute::{cast, max, min, sum};
use deltalake::arrow::datatypes::{DataType, Float64Type, SchemaRef};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::sync::Arc;

use super::error::SnapshotError;
use super::splits::Splits;
use crate::lake::{Lake, LakeError, Part};
use crate::pipeline::{Belongs, Class, Column};

/// The folder of the lake that holds one object per measured file.
const FOLDER: &str = "system/snapshots/measured";

/// What a file is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Measured {
    /// Where it lies, below the lake's root.
    pub path: String,
    pub rows: u64,
    pub bytes: u64,
    /// In hexadecimal.
    pub sha256: String,
    /// By which key and shares rows were split.
    split_by: String,
    /// Rows of each split.
    pub splits: BTreeMap<String, u64>,
    /// By column.
    pub columns: BTreeMap<String, Values>,
}

/// What the values of a column are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Values {
    pub nulls: u64,
    /// Of plain columns of numbers.
    pub numbers: Option<Numbers>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Numbers {
    pub min: f64,
    pub max: f64,
    pub sum: f64,
}

impl Values {
    /// Those of both.
    pub fn and(self, other: &Self) -> Self {
        let numbers = match (self.numbers, other.numbers) {
            (Some(a), Some(b)) => {
                Some(Numbers { min: a.min.min(b.min), max: a.max.max(b.max), sum: a.sum + b.sum })
            }
            (a, b) => a.or(b),
        };
        Self { nulls: self.nulls + other.nulls, numbers }
    }
}

/// A table whose files are measured.
pub(super) struct Measure<'a> {
    pub lake: &'a Lake,
    pub splits: &'a Splits,
    pub table: &'a str,
    pub schema: SchemaRef,
    pub columns: &'a [Column],
    pub belongs: &'a Belongs,
}

impl Measure<'_> {
    /// What a file is.
    pub async fn of(&self, part: &Part) -> Result<Measured, SnapshotError> {
        let known = path(&part.path);
        if let Some(bytes) = self.lake.read_object(&known).await?
            && let Ok(measured) = serde_json::from_slice::<Measured>(&bytes)
            && measured.path == part.path
            && measured.split_by == self.splits.id()
        {
            return Ok(measured);
        }
        let measured = self.anew(part).await?;
        let bytes = serde_json::to_vec(&measured).map_err(|error| LakeError::Unreadable {
            path: known.clone(),
            reason: error.to_string(),
        })?;
        self.lake.put_object(&known, bytes).await?;
        Ok(measured)
    }

    async fn anew(&self, part: &Part) -> Result<Measured, SnapshotError> {
        let (sha256, bytes) = self.lake.digest(&part.path).await?;
        let failed = SnapshotError::reading(self.table);
        let file = self.lake.parts(self.table, &self.schema, std::slice::from_ref(part));
        let session = self.lake.sessions().in_pieces();
        let rows = session.read_table(Arc::new(file)).map_err(failed)?;
        let mut rows = rows.execute_stream().await.map_err(failed)?;
        let mut measured = Measured {
            path: part.path.clone(),
            rows: 0,
            bytes,
            sha256,
            split_by: self.splits.id().to_owned(),
            splits: BTreeMap::new(),
            columns: BTreeMap::new(),
        };
        while let Some(batch) = rows.next().await {
            let batch = batch.map_err(failed)?;
            self.add(&mut measured, &batch).map_err(failed)?;
        }
        Ok(measured)
    }

    fn add(
        &self,
        measured: &mut Measured,
        batch: &RecordBatch,
    ) -> deltalake::datafusion::common::Result<()> {
        measured.rows += batch.num_rows() as u64;
        for column in self.columns {
            let Some(values) = batch.column_by_name(&column.name) else { continue };
            let mut of = Values { nulls: values.null_count() as u64, numbers: None };
            if column.class == Class::Plain && values.data_type().is_numeric() {
                of.numbers = numbers(values)?;
            }
            let known = measured.columns.entry(column.name.clone()).or_default();
            *known = std::mem::take(known).and(&of);
        }
        let named =
            |name: &Option<String>| name.as_ref().and_then(|name| batch.column_by_name(name));
        let subjects = named(&self.belongs.subject);
        if let Some(splits) = self.splits.rows(subjects, named(&self.belongs.device))? {
            for split in splits.iter().flatten() {
                match measured.splits.get_mut(split) {
                    Some(rows) => *rows += 1,
                    None => drop(measured.splits.insert(split.to_owned(), 1)),
                }
            }
        }
        Ok(())
    }
}

/// Forgets what a file was that is not there any more.
pub(super) async fn forget(lake: &Lake, part: &str) -> Result<(), LakeError> {
    lake.remove_object(&path(part)).await
}

fn numbers(values: &ArrayRef) -> deltalake::datafusion::common::Result<Option<Numbers>> {
    let values = cast(values, &DataType::Float64)?;
    let values = values.as_primitive::<Float64Type>();
    Ok(match (min(values), max(values), sum(values)) {
        (Some(min), Some(max), Some(sum)) => Some(Numbers { min, max, sum }),
        _ => None,
    })
}

fn path(part: &str) -> String {
    format!("{FOLDER}/{}.json", &hex::encode(Sha256::digest(part.as_bytes()))[..32])
}
