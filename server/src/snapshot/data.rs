//! Rows of a snapshot: some columns, a condition, a split, a shard.

use std::sync::Arc;

use deltalake::arrow::datatypes::SchemaRef;
use deltalake::datafusion::catalog::TableProvider;
use deltalake::datafusion::dataframe::DataFrame;
use stedi_openapi::{SnapshotDataQuery, SnapshotTable};

use super::error::SnapshotError;
use super::measure::Measure;
use super::service::Snapshots;
use super::shelf::Record;
use crate::lake::Part;
use crate::pipeline::Declared;
use crate::query::{Bounds, Given, condition};

/// Most shards that rows are divided into.
const SHARDS: u64 = 4096;

/// What is to be read, and by which statement.
#[derive(Debug)]
pub struct Rows {
    /// The rows of the split and shard.
    pub given: Given,
    /// A SELECT over them.
    pub sql: String,
}

impl Snapshots {
    /// Rows of a table of a snapshot.
    ///
    /// # Errors
    /// [`SnapshotError::NotInIt`] if it has no such table, [`SnapshotError::Asked`] names the parameter
    /// that makes no sense, [`SnapshotError::Redacting`].
    pub async fn rows(
        &self,
        record: &Record,
        asked: &SnapshotDataQuery,
        bounds: &Bounds,
    ) -> Result<Rows, SnapshotError> {
        let reading = self.reading(record).await?;
        let table = table_of(record, asked.table.as_deref())?;
        let sql = select(table, asked, bounds)?;
        let parts = self.parts(record, table)?;
        let declared = self.inner.pipeline.tables();
        let declared = declared.into_iter().find(|declared| declared.name == table.table);
        let declared = declared.ok_or_else(|| SnapshotError::NotInIt(table.table.clone()))?;
        let schema = self.schema(&declared, table)?;
        let split = asked.split.as_deref();
        if let Some(split) = split {
            let known = &record.manifest.splits;
            if !known.contains_key(split) {
                let names = known.keys().cloned().collect::<Vec<_>>().join(", ");
                return Err(SnapshotError::Asked(format!("split: {split} is none of {names}")));
            }
            if known != self.inner.splits.shares() {
                let why = "split: the pipeline splits people in another way now";
                return Err(SnapshotError::Asked(why.to_owned()));
            }
        }
        let rows = match &asked.shard {
            None => self.all(&parts, &declared, &schema, split)?,
            Some(text) => {
                let shard = Shard::parse(text)?;
                self.shard(&parts, &declared, &schema, split, shard).await?
            }
        };
        let (name, version) = (table.table.clone(), table.version);
        Ok(Rows { given: Given { name, version, rows, reading }, sql })
    }

    /// The files of a table of a snapshot, in their order.
    fn parts(&self, record: &Record, table: &SnapshotTable) -> Result<Vec<Part>, SnapshotError> {
        table.files.iter().map(|file| self.file(record, &file.sha256)).collect()
    }

    /// The columns of a table of a snapshot as they are stored.
    pub(super) fn schema(
        &self,
        declared: &Declared,
        table: &SnapshotTable,
    ) -> Result<SchemaRef, SnapshotError> {
        let fields = table.schema.iter().map(|column| {
            let mut columns = declared.columns.iter();
            let known = columns.find(|declared| declared.name == column.name);
            known.map(|known| known.field()).ok_or_else(|| {
                let why = format!("the pipeline has no column {} any more", column.name);
                SnapshotError::Asked(why)
            })
        });
        let fields = fields.collect::<Result<Vec<_>, _>>()?;
        Ok(Arc::new(deltalake::arrow::datatypes::Schema::new(fields)))
    }

    /// All rows, or those of a split.
    fn all(
        &self,
        parts: &[Part],
        declared: &Declared,
        schema: &SchemaRef,
        split: Option<&str>,
    ) -> Result<Arc<dyn TableProvider>, SnapshotError> {
        let files = Arc::new(self.inner.lake.parts(&declared.name, schema, parts));
        match split {
            None => Ok(files),
            Some(_) => {
                let failed = SnapshotError::reading(&declared.name);
                let session = self.inner.lake.sessions().session();
                let rows = session.read_table(files).map_err(failed)?;
                Ok(self.of_split(rows, declared, split)?.into_view())
            }
        }
    }

    fn of_split(
        &self,
        rows: DataFrame,
        declared: &Declared,
        split: Option<&str>,
    ) -> Result<DataFrame, SnapshotError> {
        let Some(split) = split else { return Ok(rows) };
        let condition = self.inner.splits.condition(split, &declared.belongs);
        let nobody = || SnapshotError::Asked("split: rows of this table are of nobody".to_owned());
        rows.filter(condition.ok_or_else(nobody)?).map_err(SnapshotError::reading(&declared.name))
    }

    /// The rows of a shard: those from some place to another in the order of the files, counted
    /// within the split. Files that have none of them are not read.
    async fn shard(
        &self,
        parts: &[Part],
        declared: &Declared,
        schema: &SchemaRef,
        split: Option<&str>,
        shard: Shard,
    ) -> Result<Arc<dyn TableProvider>, SnapshotError> {
        let failed = SnapshotError::reading(&declared.name);
        let lake = &self.inner.lake;
        let mut counts = Vec::with_capacity(parts.len());
        for part in parts {
            counts.push(match split {
                None => part.rows,
                Some(split) => {
                    let measure = Measure {
                        lake,
                        splits: &self.inner.splits,
                        table: &declared.name,
                        schema: Arc::clone(schema),
                        columns: &declared.columns,
                        belongs: &declared.belongs,
                    };
                    let splits = measure.of(part).await?.splits;
                    splits.get(split).copied().unwrap_or_default()
                }
            });
        }
        let session = lake.sessions().in_pieces();
        let mut union = None::<DataFrame>;
        for (at, (skip, take)) in shard.cut(&counts) {
            let Some(part) = parts.get(at) else { continue };
            let file = lake.parts(&declared.name, schema, std::slice::from_ref(part)).apart();
            let rows = session.read_table(Arc::new(file)).map_err(failed)?;
            let rows = self.of_split(rows, declared, split)?;
            let whole = counts.get(at) == Some(&take);
            let rows = match whole {
                true => rows,
                false => rows.limit(size(skip), Some(size(take))).map_err(failed)?,
            };
            union = Some(match union {
                None => rows,
                Some(before) => before.union(rows).map_err(failed)?,
            });
        }
        match union {
            Some(rows) => Ok(rows.into_view()),
            None => Ok(Arc::new(lake.parts(&declared.name, schema, &[]))),
        }
    }
}

/// The table that is meant.
fn table_of<'a>(
    record: &'a Record,
    name: Option<&str>,
) -> Result<&'a SnapshotTable, SnapshotError> {
    let tables = &record.manifest.tables;
    match (name, tables.as_slice()) {
        (None, [only]) => Ok(only),
        (None, _) => {
            let names = tables.iter().map(|table| table.table.as_str()).collect::<Vec<_>>();
            Err(SnapshotError::Asked(format!("table: one of {}", names.join(", "))))
        }
        (Some(name), _) => {
            let found = tables.iter().find(|table| table.table == name);
            found.ok_or_else(|| SnapshotError::NotInIt(format!("table {name}")))
        }
    }
}

/// The statement that gives what is asked for.
fn select(
    table: &SnapshotTable,
    asked: &SnapshotDataQuery,
    bounds: &Bounds,
) -> Result<String, SnapshotError> {
    let columns = match &asked.columns {
        None => "*".to_owned(),
        Some(names) => {
            let column = |name: &str| {
                let name = name.trim().to_ascii_lowercase();
                match table.schema.iter().any(|column| column.name == name) {
                    true => Ok(format!("\"{name}\"")),
                    false => Err(SnapshotError::Asked(format!("columns: there is no {name:?}"))),
                }
            };
            names.split(',').map(column).collect::<Result<Vec<_>, _>>()?.join(", ")
        }
    };
    let mut sql = format!("SELECT {columns} FROM \"{}\"", table.table);
    if let Some(text) = &asked.condition {
        sql += &format!(" WHERE ({})", condition(text, bounds)?);
    }
    Ok(sql)
}

/// One of several parts of all rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shard {
    at: u64,
    of: u64,
}

impl Shard {
    fn parse(text: &str) -> Result<Self, SnapshotError> {
        let wrong = || SnapshotError::Asked(format!("shard: i/n with i below n, n up to {SHARDS}"));
        let (at, of) = text.split_once('/').ok_or_else(wrong)?;
        let (at, of) = (at.parse().map_err(|_| wrong())?, of.parse().map_err(|_| wrong())?);
        match at < of && of <= SHARDS {
            true => Ok(Self { at, of }),
            false => Err(wrong()),
        }
    }

    /// Of files with so many rows those that have rows of this shard: how many are skipped, and how
    /// many taken.
    fn cut(self, counts: &[u64]) -> Vec<(usize, (u64, u64))> {
        let all: u64 = counts.iter().sum();
        let bound = |n: u64| u64::try_from(u128::from(all) * u128::from(n) / u128::from(self.of));
        let (from, to) = (bound(self.at).unwrap_or(all), bound(self.at + 1).unwrap_or(all));
        let mut begin = 0;
        let mut cut = Vec::new();
        for (at, count) in counts.iter().enumerate() {
            let end = begin + count;
            let (first, last) = (from.clamp(begin, end), to.clamp(begin, end));
            if first < last {
                cut.push((at, (first - begin, last - first)));
            }
            begin = end;
        }
        cut
    }
}

fn size(rows: u64) -> usize {
    usize::try_from(rows).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_have_every_row_once_and_are_about_equal() {
        let files: [&[u64]; 6] = [&[], &[0], &[7], &[1, 0, 500, 3], &[32768, 32768, 5], &[2, 2, 2]];
        for counts in files {
            let all: u64 = counts.iter().sum();
            for of in [1, 2, 3, 7, 19] {
                let mut seen = vec![Vec::new(); counts.len()];
                for at in 0..of {
                    let cut = Shard { at, of }.cut(counts);
                    let rows: u64 = cut.iter().map(|(_, (_, take))| take).sum();
                    assert!(rows >= all / of && rows <= all.div_ceil(of), "{counts:?} {at}/{of}");
                    for (file, (skip, take)) in cut {
                        seen[file].extend(skip..skip + take);
                    }
                }
                for (rows, count) in seen.into_iter().zip(counts) {
                    assert_eq!(rows, (0..*count).collect::<Vec<_>>());
                }
            }
        }
    }

    #[test]
    fn a_shard_is_i_of_n() {
        assert_eq!(Shard::parse("1/3").unwrap(), Shard { at: 1, of: 3 });
        for text in ["", "1", "3/3", "-1/3", "0/0", "0/5000", "a/b", "1/3/4"] {
            assert!(Shard::parse(text).is_err(), "{text}");
        }
    }
}
