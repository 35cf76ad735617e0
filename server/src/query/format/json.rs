//! `{"columns": [{"name", "type"}], "rows": [[…]], "row_count": n}`, written as rows come.

use deltalake::arrow::array::RecordBatch;
use deltalake::arrow::datatypes::SchemaRef;
use deltalake::arrow::json::writer::EncoderOptions;
use deltalake::datafusion::common::Result;

use super::super::types::sql_name;
use super::values;

/// One JSON document.
pub struct Json {
    schema: SchemaRef,
    options: EncoderOptions,
    begun: bool,
    any: bool,
}

impl Json {
    pub(super) fn new(schema: SchemaRef) -> Self {
        let options = EncoderOptions::default().with_explicit_nulls(true);
        Self { schema, options, begun: false, any: false }
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let fields = self.schema.fields().iter();
        let columns: Vec<_> = fields
            .map(|field| {
                serde_json::json!({ "name": field.name(), "type": sql_name(field.data_type()) })
            })
            .collect();
        out.extend_from_slice(b"{\"columns\":");
        out.extend_from_slice(serde_json::Value::Array(columns).to_string().as_bytes());
        out.extend_from_slice(b",\"rows\":[");
    }

    pub(super) fn rows(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        self.begin(out);
        let columns = values::writable(batch)?;
        let mut encoders = values::encoders(&columns, &self.options)?;
        for row in 0..batch.num_rows() {
            if std::mem::replace(&mut self.any, true) {
                out.push(b',');
            }
            out.push(b'[');
            for (place, encoder) in encoders.iter_mut().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                values::value(encoder, row, out);
            }
            out.push(b']');
        }
        Ok(())
    }

    pub(super) fn end(mut self, rows: u64, out: &mut Vec<u8>) -> Result<()> {
        self.begin(out);
        out.extend_from_slice(format!("],\"row_count\":{rows}}}\n").as_bytes());
        Ok(())
    }
}
