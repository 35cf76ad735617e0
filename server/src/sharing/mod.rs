//! Tables as they are shared with programs of others, by the Delta Sharing protocol: the pipeline is the
//! one share, zones are its schemas, and what a role reads there, without PII, are the tables. Files are
//! given by URLs that end by themselves, and obey the deny list whenever one is fetched.

mod error;
mod hints;
mod moment;
mod projected;
mod shares;
mod table;
mod ticket;

pub use error::SharingError;
pub use moment::When;
pub use shares::{SharedTable, Sharing, SharingRules};
pub use table::{Bytes, Fetched, FileOf, Files, Span};
