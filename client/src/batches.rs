//! Arrow streams, as they come.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_schema::SchemaRef;
use bytes::Bytes;
use futures::{Stream, StreamExt};

use crate::error::ClientError;

/// What a body gives.
type Body = Pin<Box<dyn Stream<Item = Result<Bytes, ClientError>> + Send>>;

/// Record batches of a result, decoded as their bytes come: one is held, however many there are. A
/// result that breaks off ends with an error, never as if it were whole.
pub struct Batches {
    schema: SchemaRef,
    rows: Pin<Box<dyn Stream<Item = Result<RecordBatch, ClientError>> + Send>>,
}

impl Batches {
    /// Reads up to the schema.
    pub(crate) async fn read(body: Body) -> Result<Self, ClientError> {
        let mut reading = Reading { body, decoder: StreamDecoder::new(), held: Buffer::from(&[]) };
        let first = reading.next().await?;
        let schema = reading.decoder.schema().ok_or(ClientError::Broken)?;
        let first = futures::stream::iter(first.map(Ok));
        let rest = futures::stream::try_unfold(reading, async |mut reading| {
            Ok(reading.next().await?.map(|batch| (batch, reading)))
        });
        Ok(Self { schema, rows: Box::pin(first.chain(rest)) })
    }

    /// The columns, which are there before the first row.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

impl Stream for Batches {
    type Item = Result<RecordBatch, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.rows.as_mut().poll_next(context)
    }
}

impl fmt::Debug for Batches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batches").field("schema", &self.schema).finish_non_exhaustive()
    }
}

struct Reading {
    body: Body,
    decoder: StreamDecoder,
    /// Bytes that are not decoded yet.
    held: Buffer,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<RecordBatch>, ClientError> {
        loop {
            if let Some(batch) = self.decoder.decode(&mut self.held)? {
                return Ok(Some(batch));
            }
            match self.body.next().await.transpose()? {
                Some(bytes) => self.held = Buffer::from(bytes),
                None => {
                    self.decoder.finish().map_err(|_| ClientError::Broken)?;
                    return Ok(None);
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use arrow_array::Int64Array;
    use arrow_ipc::writer::StreamWriter;
    use arrow_schema::{DataType, Field, Schema};
    use futures::TryStreamExt;

    use super::*;

    fn stream(batches: usize) -> Vec<u8> {
        let schema = Arc::new(Schema::new(vec![Field::new("x", DataType::Int64, false)]));
        let mut writer = StreamWriter::try_new(Vec::new(), &schema).unwrap();
        for number in 0..batches as i64 {
            let column = Arc::new(Int64Array::from_iter_values(0..=number));
            writer.write(&RecordBatch::try_new(schema.clone(), vec![column]).unwrap()).unwrap();
        }
        writer.into_inner().unwrap()
    }

    fn read(bytes: &[u8], size: usize) -> Result<Vec<usize>, ClientError> {
        let chunks: Vec<_> = bytes.chunks(size).map(|it| Ok(Bytes::copy_from_slice(it))).collect();
        futures::executor::block_on(async {
            let batches = Batches::read(Box::pin(futures::stream::iter(chunks))).await?;
            assert_eq!(batches.schema().field(0).name(), "x");
            batches.map_ok(|batch| batch.num_rows()).try_collect().await
        })
    }

    #[test]
    fn batches_come_out_of_any_chunks() {
        for size in [1, 7, 64, 100_000] {
            assert_eq!(read(&stream(3), size).unwrap(), [1, 2, 3]);
            assert!(read(&stream(0), size).unwrap().is_empty());
        }
    }

    #[test]
    fn a_stream_that_ends_in_a_batch_is_broken() {
        let bytes = stream(3);
        for end in [0, 5, 100, bytes.len() / 2, bytes.len() - 20] {
            assert!(matches!(read(&bytes[..end], 64), Err(ClientError::Broken)), "at {end}");
        }
    }
}
