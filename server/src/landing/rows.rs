//! Accepted records become columns.

use std::sync::Arc;

use deltalake::arrow::array::{ArrayRef, Float64Builder, Int64Builder, RecordBatch, StringBuilder};
use deltalake::arrow::datatypes::{DataType, SchemaRef};
use deltalake::arrow::error::ArrowError;

use super::value::Stored;

/// Rows of a batch: what is decoded before it is handed on.
pub(super) const BATCH_ROWS: usize = 16 * 1024;
/// Bytes of text after which a batch is handed on with fewer rows.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

enum Builder {
    Text(StringBuilder),
    Int(Int64Builder),
    Double(Float64Builder),
}

/// Rows that are being collected into a batch of a schema.
pub(super) struct Rows {
    schema: SchemaRef,
    builders: Vec<Builder>,
    length: usize,
    text_bytes: usize,
}

impl Rows {
    /// No rows yet. Columns are text, 64-bit integers and doubles.
    pub fn new(schema: SchemaRef) -> Self {
        let builders = schema
            .fields()
            .iter()
            .map(|field| match field.data_type() {
                DataType::Int64 => Builder::Int(Int64Builder::new()),
                DataType::Float64 => Builder::Double(Float64Builder::new()),
                _ => Builder::Text(StringBuilder::new()),
            })
            .collect();
        Self { schema, builders, length: 0, text_bytes: 0 }
    }

    /// Adds a row: one value per column, in their order.
    pub fn push<'a>(&mut self, row: impl IntoIterator<Item = Option<Stored<'a>>>) {
        for (builder, value) in self.builders.iter_mut().zip(row) {
            match (builder, value) {
                (Builder::Text(builder), Some(Stored::Text(text))) => {
                    self.text_bytes += text.len();
                    builder.append_value(text);
                }
                (Builder::Int(builder), Some(Stored::Epoch(value))) => builder.append_value(value),
                (Builder::Double(builder), Some(Stored::Double(value))) => {
                    builder.append_value(value);
                }
                (Builder::Text(builder), _) => builder.append_null(),
                (Builder::Int(builder), _) => builder.append_null(),
                (Builder::Double(builder), _) => builder.append_null(),
            }
        }
        self.length += 1;
    }

    /// Whether it is time to hand the batch on.
    pub fn full(&self) -> bool {
        self.length >= BATCH_ROWS || self.text_bytes >= BATCH_BYTES
    }

    /// The collected rows, if there are any.
    pub fn take(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        if self.length == 0 {
            return Ok(None);
        }
        self.length = 0;
        self.text_bytes = 0;
        let columns = self
            .builders
            .iter_mut()
            .map(|builder| match builder {
                Builder::Text(builder) => Arc::new(builder.finish()) as ArrayRef,
                Builder::Int(builder) => Arc::new(builder.finish()),
                Builder::Double(builder) => Arc::new(builder.finish()),
            })
            .collect();
        RecordBatch::try_new(Arc::clone(&self.schema), columns).map(Some)
    }
}
