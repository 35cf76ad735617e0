//! The deny list: whose rows no read returns, because their consent was withdrawn and the rows may
//! still be somewhere. Every read of every server obeys it.
//!
//! It is a log of objects, `system/deny/<number>.json`, each created once ([`log`]). An object denies
//! the rows of some requests' subjects, says from which version of a table on they are gone, or lifts
//! requests whose rows are gone for good. A server knows the list up to some number, and asks for the
//! next one: if there is none, there is no news ([`Deny::current`]).
//!
//! Servers have no clock in common. Each gives rows only under a list that it began to read at most
//! [`LONGEST`] ago, and otherwise none. So when that time, and a margin for what lies between a look
//! at the list and the bytes that leave, has passed since an entry was written, no server gives a row
//! of its subjects any more: then [`Deny::add`] says so.

mod entry;
mod error;
mod lent;
mod list;
mod log;
mod reading;
mod service;

pub use entry::{Denied, Hidden, Reason, Seen};
pub use error::DenyError;
pub use list::DenyList;
pub use reading::Reading;
pub use service::{Acknowledged, Deny, LONGEST};
