//! CSV by RFC 4180 with a header line; no value is an empty field.

use std::sync::Arc;

use deltalake::arrow::array::RecordBatch;
use deltalake::arrow::compute::cast;
use deltalake::arrow::csv::WriterBuilder;
use deltalake::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use deltalake::arrow::json::writer::EncoderOptions;
use deltalake::datafusion::common::Result;

use super::values;

/// Lines of CSV.
pub struct Csv {
    schema: SchemaRef,
    begun: bool,
}

impl Csv {
    pub(super) fn new(schema: SchemaRef) -> Self {
        Self { schema, begun: false }
    }

    pub(super) fn rows(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let batch = flat(&values::renamed(batch, &self.schema)?)?;
        let header = !std::mem::replace(&mut self.begun, true);
        let mut writer = WriterBuilder::new().with_header(header).build(out);
        Ok(writer.write(&batch)?)
    }

    pub(super) fn end(mut self, out: &mut Vec<u8>) -> Result<()> {
        match self.begun {
            true => Ok(()),
            false => self.rows(&RecordBatch::new_empty(Arc::clone(&self.schema)), out),
        }
    }
}

/// The batch with lists, structs and the like as JSON texts: CSV has no nesting.
fn flat(batch: &RecordBatch) -> Result<RecordBatch> {
    let nested = |kind: &DataType| kind.is_nested() || matches!(kind, DataType::Interval(_));
    let schema = batch.schema_ref();
    if !schema.fields().iter().any(|field| nested(field.data_type())) {
        return Ok(batch.clone());
    }
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        if !nested(field.data_type()) {
            fields.push(field.as_ref().clone());
            columns.push(Arc::clone(column));
            continue;
        }
        fields.push(Field::new(field.name(), DataType::Utf8, true));
        if matches!(field.data_type(), DataType::Interval(_)) {
            columns.push(cast(column, &DataType::Utf8)?);
            continue;
        }
        let options = EncoderOptions::default().with_explicit_nulls(true);
        let one = [(Arc::clone(field), Arc::clone(column))];
        let mut encoders = values::encoders(&one, &options)?;
        let mut texts = deltalake::arrow::array::StringBuilder::new();
        for row in 0..batch.num_rows() {
            let mut text = Vec::new();
            if let Some(encoder) = encoders.first_mut().filter(|encoder| !encoder.is_null(row)) {
                encoder.encode(row, &mut text);
                texts.append_value(String::from_utf8_lossy(&text));
            } else {
                texts.append_null();
            }
        }
        columns.push(Arc::new(texts.finish()));
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}
