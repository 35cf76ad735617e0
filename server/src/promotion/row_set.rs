//! A set of rows in bounded memory. Null is equal to null.

use std::collections::HashSet;

use deltalake::arrow::array::{AsArray, RecordBatch};
use deltalake::arrow::compute::cast;
use deltalake::arrow::datatypes::{DataType, SchemaRef};
use deltalake::arrow::error::ArrowError;
use deltalake::arrow::row::{RowConverter, RowParser, SortField};

/// Rows of a batch that is given back.
const BATCH_ROWS: usize = 8192;
/// Bytes that a row costs beside its values.
const ROW_OVERHEAD: usize = 48;

/// A set of rows of one schema.
pub(super) struct RowSet {
    schema: SchemaRef,
    converter: RowConverter,
    parser: RowParser,
    rows: HashSet<Box<[u8]>>,
    bytes: usize,
    limit: usize,
}

/// Why rows cannot be taken.
#[derive(Debug)]
pub(super) enum NotTaken {
    /// The set is full.
    Full,
    /// The rows are not of the set's schema.
    Arrow(ArrowError),
}

impl From<ArrowError> for NotTaken {
    fn from(error: ArrowError) -> Self {
        Self::Arrow(error)
    }
}

impl RowSet {
    /// An empty set that takes up to `limit` bytes.
    pub fn new(schema: &SchemaRef, limit: usize) -> Result<Self, ArrowError> {
        let fields = schema.fields().iter().map(|field| SortField::new(field.data_type().clone()));
        let converter = RowConverter::new(fields.collect())?;
        let parser = converter.parser();
        let (schema, rows) = (schema.clone(), HashSet::new());
        Ok(Self { schema, converter, parser, rows, bytes: 0, limit })
    }

    /// How many rows it holds.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Takes rows.
    pub fn insert(&mut self, batch: &RecordBatch) -> Result<(), NotTaken> {
        for row in &self.converter.convert_columns(batch.columns())? {
            let row: &[u8] = row.as_ref();
            if self.rows.contains(row) {
                continue;
            }
            self.bytes += row.len() + ROW_OVERHEAD;
            if self.bytes > self.limit {
                return Err(NotTaken::Full);
            }
            self.rows.insert(row.into());
        }
        Ok(())
    }

    /// Takes the rows out that are in the set; true for each row that was.
    pub fn remove(&mut self, batch: &RecordBatch) -> Result<Vec<bool>, ArrowError> {
        let rows = self.converter.convert_columns(batch.columns())?;
        let rows = &mut rows.iter();
        Ok(rows.map(|row| self.rows.remove(AsRef::<[u8]>::as_ref(&row))).collect())
    }

    /// Which rows are in the set.
    pub fn contains(&self, batch: &RecordBatch) -> Result<Vec<bool>, ArrowError> {
        let rows = self.converter.convert_columns(batch.columns())?;
        let rows = &mut rows.iter();
        Ok(rows.map(|row| self.rows.contains(AsRef::<[u8]>::as_ref(&row))).collect())
    }

    /// The texts in a column of its rows.
    pub fn texts(&self, column: &str) -> Result<HashSet<String>, ArrowError> {
        let mut texts = HashSet::new();
        for batch in self.batches()? {
            let Some(column) = batch.column_by_name(column) else { continue };
            let column = cast(column, &DataType::Utf8)?;
            texts.extend(column.as_string::<i32>().iter().flatten().map(str::to_owned));
        }
        Ok(texts)
    }

    /// Its rows.
    pub fn batches(&self) -> Result<Vec<RecordBatch>, ArrowError> {
        let rows: Vec<&[u8]> = self.rows.iter().map(AsRef::as_ref).collect();
        let batches = rows.chunks(BATCH_ROWS).map(|chunk| {
            let rows = chunk.iter().map(|row| self.parser.parse(row));
            RecordBatch::try_new(self.schema.clone(), self.converter.convert_rows(rows)?)
        });
        batches.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use deltalake::arrow::array::{Float64Array, StringArray};
    use deltalake::arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    fn batch(rows: &[(Option<&str>, Option<f64>)]) -> RecordBatch {
        let schema = Arc::new(Schema::new(vec![
            Field::new("a", DataType::Utf8, true),
            Field::new("b", DataType::Float64, true),
        ]));
        let a: StringArray = rows.iter().map(|row| row.0).collect();
        let b: Float64Array = rows.iter().map(|row| row.1).collect();
        RecordBatch::try_new(schema, vec![Arc::new(a), Arc::new(b)]).unwrap()
    }

    #[test]
    fn equal_rows_are_one_and_nulls_are_equal() {
        let first = batch(&[(None, Some(1.0)), (None, Some(1.0)), (Some("x"), None)]);
        let mut set = RowSet::new(&first.schema(), 1 << 20).unwrap();
        set.insert(&first).unwrap();
        assert_eq!(set.len(), 2);
        let asked = batch(&[(Some("x"), None), (Some(""), None), (None, Some(1.0))]);
        assert_eq!(set.contains(&asked).unwrap(), [true, false, true]);
        assert_eq!(set.remove(&asked).unwrap(), [true, false, true]);
        assert!(set.is_empty());
    }

    #[test]
    fn gives_back_what_it_took_and_no_more_than_it_may_hold() {
        let rows = batch(&[(Some("x"), Some(-1.5)), (None, None)]);
        let mut set = RowSet::new(&rows.schema(), 1 << 20).unwrap();
        set.insert(&rows).unwrap();
        let mut again = RowSet::new(&rows.schema(), 1 << 20).unwrap();
        for part in set.batches().unwrap() {
            again.insert(&part).unwrap();
        }
        assert_eq!(again.contains(&rows).unwrap(), [true, true]);
        let mut small = RowSet::new(&rows.schema(), 80).unwrap();
        assert!(matches!(small.insert(&rows), Err(NotTaken::Full)));
    }
}
