//! The formats of a result. Each encoder takes a batch at a time and holds no more than it needs to
//! write the next bytes.

mod arrow;
mod csv;
mod json;
mod ndjson;
mod parquet;
mod values;

use deltalake::arrow::array::RecordBatch;
use deltalake::arrow::datatypes::SchemaRef;
use deltalake::datafusion::common::Result;

/// A format that a result can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// One JSON document with columns and rows.
    Json,
    /// A JSON object for each row and line, then one that says how it ended.
    Ndjson,
    /// CSV with a header line (RFC 4180).
    Csv,
    /// An Arrow IPC stream, its buffers compressed or not.
    Arrow(Codec),
    /// A Parquet file.
    Parquet,
}

/// How the buffers of an Arrow stream are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Codec {
    /// Not at all.
    Plain,
    /// LZ4 frames.
    Lz4,
    /// Zstandard.
    Zstd,
}

impl Format {
    /// Its media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Arrow(_) => "application/vnd.apache.arrow.stream",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// A word for it, in metrics and the audit.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Arrow(_) => "arrow",
            Self::Parquet => "parquet",
        }
    }

    /// An encoder of rows with these columns.
    pub fn encoder(self, schema: SchemaRef) -> Result<Encoder> {
        let schema = values::distinct(&schema);
        Ok(match self {
            Self::Json => Encoder::Json(json::Json::new(schema)),
            Self::Ndjson => Encoder::Ndjson(ndjson::Ndjson::new(schema)),
            Self::Csv => Encoder::Csv(csv::Csv::new(schema)),
            Self::Arrow(codec) => Encoder::Arrow(arrow::Arrow::new(schema, codec)?),
            Self::Parquet => Encoder::Parquet(Box::new(parquet::Parquet::new(schema)?)),
        })
    }
}

/// An encoder of one result. It is told of each batch, then of the end.
pub enum Encoder {
    /// See [`Format::Json`].
    Json(json::Json),
    /// See [`Format::Ndjson`].
    Ndjson(ndjson::Ndjson),
    /// See [`Format::Csv`].
    Csv(csv::Csv),
    /// See [`Format::Arrow`].
    Arrow(arrow::Arrow),
    /// See [`Format::Parquet`].
    Parquet(Box<parquet::Parquet>),
}

impl Encoder {
    /// Adds rows; what can be written is appended to `out`.
    pub fn rows(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::Json(encoder) => encoder.rows(batch, out),
            Self::Ndjson(encoder) => encoder.rows(batch, out),
            Self::Csv(encoder) => encoder.rows(batch, out),
            Self::Arrow(encoder) => encoder.rows(batch, out),
            Self::Parquet(encoder) => encoder.rows(batch, out),
        }
    }

    /// Ends the result after so many rows.
    pub fn end(self, rows: u64, out: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::Json(encoder) => encoder.end(rows, out),
            Self::Ndjson(encoder) => encoder.end(rows, out),
            Self::Csv(encoder) => encoder.end(out),
            Self::Arrow(encoder) => encoder.end(out),
            Self::Parquet(encoder) => encoder.end(out),
        }
    }
}
