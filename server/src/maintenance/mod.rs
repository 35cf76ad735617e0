//! Maintenance: every table is kept quick and small, without a change of its rows.
//!
//! Each server looks at all tables now and then; a lease per table lets one of them do what is due.
//! In which order: files that nothing refers to are removed, small and scattered files are rewritten
//! ([`layout`](crate::lake::CompactionRules)), a checkpoint is written, and the log is cut behind an
//! older checkpoint. The cut is the last step, so that the files that only the removed commits named
//! stay until the next time: a statement that began on one of those versions can finish.

mod backup;
mod error;
mod job;
mod one;
mod purge;
mod schedule;
mod service;
mod target;

pub use backup::{BackedUp, Backup, BackupError, CopyState};
pub use error::MaintenanceError;
pub use job::Upkeep;
pub use purge::Purging;
pub use service::{Maintenance, MaintenanceRules};
