//! Tables as they were at one moment, for training: what does not change, can be verified, and is
//! there again next year.

mod after;
mod create;
mod croissant;
mod data;
mod error;
mod manifest;
mod measure;
mod recent;
mod redact;
mod service;
mod shelf;
mod splits;

pub use create::OWN;
pub use croissant::croissant;
pub use data::Rows;
pub use error::SnapshotError;
pub use manifest::id;
pub use redact::Redacted;
pub use service::{Snapshots, SnapshotsRules};
pub use shelf::Record;
pub use splits::Splits;
