//! `POST /v1/sql`.

mod csv;
mod etag;
mod explain;
mod formats;
mod names;
mod parameters;
mod requests;
mod sorted;
mod values;

pub use formats::{arrow, parquet};
