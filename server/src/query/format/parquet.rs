//! A Parquet file, written row group by row group: its footer ends a whole one.

use std::sync::Arc;

use deltalake::arrow::array::RecordBatch;
use deltalake::arrow::compute::cast;
use deltalake::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use deltalake::datafusion::common::Result;
use deltalake::datafusion::parquet::arrow::ArrowWriter;
use deltalake::datafusion::parquet::basic::Compression;
use deltalake::datafusion::parquet::file::properties::WriterProperties;

use super::values;

/// Rows of a row group; the writer holds one, encoded.
const ROW_GROUP_ROWS: usize = 128 * 1024;
/// Bytes of a row group, encoded, after which the next is begun.
const ROW_GROUP_BYTES: usize = 8 * 1024 * 1024;

/// A Parquet file.
pub struct Parquet {
    schema: SchemaRef,
    /// The same, in types that Parquet has.
    written: SchemaRef,
    writer: ArrowWriter<Vec<u8>>,
}

impl Parquet {
    pub(super) fn new(schema: SchemaRef) -> Result<Self> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::LZ4_RAW)
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .build();
        let written = writable(&schema);
        let writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&written), Some(properties))?;
        Ok(Self { schema, written, writer })
    }

    pub(super) fn rows(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let mut batch = values::renamed(batch, &self.schema)?;
        if self.schema != self.written {
            let fields = self.written.fields().iter();
            let columns = batch.columns().iter().zip(fields);
            let columns = columns.map(|(column, field)| cast(column, field.data_type()));
            let columns = columns.collect::<std::result::Result<_, _>>()?;
            batch = RecordBatch::try_new(Arc::clone(&self.written), columns)?;
        }
        self.writer.write(&batch)?;
        if self.writer.in_progress_size() > ROW_GROUP_BYTES {
            self.writer.flush()?;
        }
        // The writer counts its bytes itself, so those that were taken are not missed.
        out.append(self.writer.inner_mut());
        Ok(())
    }

    pub(super) fn end(mut self, out: &mut Vec<u8>) -> Result<()> {
        self.writer.finish()?;
        out.append(self.writer.inner_mut());
        Ok(())
    }
}

/// Parquet has no times in whole seconds: they would be numbers to most readers.
fn writable(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        DataType::Timestamp(TimeUnit::Second, zone) => {
            let millis = DataType::Timestamp(TimeUnit::Millisecond, zone.clone());
            Arc::new(Field::clone(field).with_data_type(millis))
        }
        _ => Arc::clone(field),
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}
