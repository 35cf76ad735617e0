//! The Arrow IPC streaming format, with the marker that ends a whole stream.

use deltalake::arrow::array::RecordBatch;
use deltalake::arrow::datatypes::SchemaRef;
use deltalake::arrow::ipc::CompressionType;
use deltalake::arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use deltalake::datafusion::common::Result;

use super::{Codec, values};

/// An Arrow stream.
pub struct Arrow {
    schema: SchemaRef,
    writer: StreamWriter<Vec<u8>>,
}

impl Arrow {
    pub(super) fn new(schema: SchemaRef, codec: Codec) -> Result<Self> {
        let codec = match codec {
            Codec::Plain => None,
            Codec::Lz4 => Some(CompressionType::LZ4_FRAME),
            Codec::Zstd => Some(CompressionType::ZSTD),
        };
        let options = IpcWriteOptions::default().try_with_compression(codec)?;
        let writer = StreamWriter::try_new_with_options(Vec::new(), &schema, options)?;
        Ok(Self { schema, writer })
    }

    pub(super) fn rows(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        self.writer.write(&values::renamed(batch, &self.schema)?)?;
        out.append(self.writer.get_mut());
        Ok(())
    }

    pub(super) fn end(mut self, out: &mut Vec<u8>) -> Result<()> {
        self.writer.finish()?;
        out.append(self.writer.get_mut());
        Ok(())
    }
}
