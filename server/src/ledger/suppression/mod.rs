//! The suppression list: whose records are kept out when they arrive again, because they were erased.
//!
//! It is a log of objects, `system/suppression/<number>.json`, each created once ([`log`]). An entry
//! names the request of an erasure and holds keyed hashes only: of the e-mails, which are kept out for
//! ever, and of the devices with the time of the erasure ([`entry`]). The keys are in a file of the
//! state folder ([`ring`]) and never in the lake, so that whoever holds the lake cannot try addresses.
//! Nothing is ever taken out of it.

mod entry;
mod list;
mod log;
mod ring;
mod service;

pub use entry::Suppressed;
pub use list::SuppressionList;
pub use service::Suppression;
