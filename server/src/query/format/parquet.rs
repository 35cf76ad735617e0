//! A Parquet file, written row group by row group: its footer ends a whole one.

use deltalake::arrow::array::RecordBatch;
use deltalake::arrow::datatypes::SchemaRef;
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
    writer: ArrowWriter<Vec<u8>>,
}

impl Parquet {
    pub(super) fn new(schema: SchemaRef) -> Result<Self> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::LZ4_RAW)
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .build();
        let writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties))?;
        Ok(Self { schema, writer })
    }

    pub(super) fn rows(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        self.writer.write(&values::renamed(batch, &self.schema)?)?;
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
