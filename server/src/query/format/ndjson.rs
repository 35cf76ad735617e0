//! A JSON object for each row and line; the last line is `{"end": {"row_count": n}}`, so that a
//! break shows.

use deltalake::arrow::array::RecordBatch;
use deltalake::arrow::datatypes::SchemaRef;
use deltalake::arrow::json::writer::EncoderOptions;
use deltalake::datafusion::common::Result;

use super::values;

/// Lines of JSON.
pub struct Ndjson {
    /// `"name":` of each column.
    keys: Vec<Vec<u8>>,
    options: EncoderOptions,
}

impl Ndjson {
    pub(super) fn new(schema: SchemaRef) -> Self {
        let key = |name: &String| format!("{}:", serde_json::Value::from(name.as_str()));
        let keys = schema.fields().iter().map(|field| key(field.name()).into_bytes()).collect();
        Self { keys, options: EncoderOptions::default().with_explicit_nulls(true) }
    }

    pub(super) fn rows(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let columns = values::writable(batch)?;
        let mut encoders = values::encoders(&columns, &self.options)?;
        for row in 0..batch.num_rows() {
            out.push(b'{');
            for (place, (key, encoder)) in self.keys.iter().zip(&mut encoders).enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(key);
                values::value(encoder, row, out);
            }
            out.extend_from_slice(b"}\n");
        }
        Ok(())
    }

    pub(super) fn end(self, rows: u64, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(format!("{{\"end\":{{\"row_count\":{rows}}}}}\n").as_bytes());
        Ok(())
    }
}
