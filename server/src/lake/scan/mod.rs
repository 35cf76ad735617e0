//! Verification: whether anything in the lake still holds what must not be there.
//!
//! It trusts no metadata. Every object is listed (in a folder by walking it, drafts included), read
//! as a whole and searched: its name, its bytes, and what they mean. What they mean is decided by the
//! bytes, not by the name: pages, dictionaries and rows of Parquet, batches of Arrow streams, what is
//! inside gzip and zstd, and text behind escapes. An object that cannot be read as what it is counts
//! as not verified, and then the whole is not clean.
//!
//! What it cannot see: values that are stored as anything but text (a number, a base64 of a text), and
//! a bloom filter, which holds hashes of the rows of its own file.

mod arrow;
mod container;
mod list;
mod needles;
mod object;
mod parquet;
mod report;
mod run;
mod spool;
mod text;

pub use needles::{Needle, NeedleError, Needles};
pub use report::{Place, ScanMatch, ScanProgress, ScanReport, Unverified};
pub use run::ScanScope;
