//! JSON comes in: bytes become records, records become rows of a landing table, what cannot be
//! used is kept aside with its reason, and a load is committed once.

mod bytes;
mod decode;
mod decoding;
mod erase;
mod error;
mod extent;
mod feed;
mod folder;
mod forget;
mod import;
mod keep_out;
mod load;
mod mark;
mod memory;
mod once;
mod record;
mod rejects;
mod revoke;
mod rows;
mod split;
mod suppress;
mod tables;
mod value;

pub use erase::{Erased, ErasedTable};
pub use error::LandingError;
pub use feed::{Fed, Feed, feed};
pub use folder::files_of;
pub use import::{Allowed, Files, ImportRules, Imports, Loaded, NotAllowed};
pub use load::{Content, Landing, LandingLimits, Slot};
pub use memory::LoadKey;
pub use revoke::Revocation;
pub use tables::rejected_columns;
pub use tables::{SOURCE_FOLDER, landing_columns};
