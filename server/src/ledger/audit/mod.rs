//! The audit: one record per statement, load, promotion and denied request, in the Delta table
//! `system.audit` (design, invariant 6).
//!
//! A record is safe before its answer leaves: it goes into a journal on this server's disk
//! ([`journal`]), which is synced once for all records that wait ([`writer`]). From there records
//! are appended to the table in batches ([`flush`]), each batch once. Each server writes a chain of
//! its own ([`chain`]).

mod chain;
mod columns;
mod denied;
mod erase;
mod error;
mod flush;
mod folder;
mod journal;
mod literals;
mod open;
mod read;
mod record;
mod recover;
mod redactable;
mod service;
mod table;
mod verify;
mod writer;

pub use chain::{Break, Head};
pub use columns::{AUDIT_TABLE, declared};
pub use denied::Denial;
pub use erase::Redaction;
pub use error::AuditError;
pub use folder::JournalFault;
pub use literals::{Literals, Redacted};
pub use open::{Counts, Open};
pub use read::{Filter, Page};
pub use record::{Action, Draft, End, Facts, Outcome, Row, Versions};
pub use redactable::Redactable;
pub use service::{Audit, AuditLimits};
pub use verify::{ChainReport, Report};
