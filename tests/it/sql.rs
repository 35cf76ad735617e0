//! `POST /v1/sql`.

mod etag;
mod explain;
mod formats;
mod names;
mod parameters;
mod requests;
mod values;
