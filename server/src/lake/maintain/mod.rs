//! What keeps a table quick and small without changing a row: checkpoints, compaction, cleanup of
//! the log, removal of files that nothing refers to; and the purge, which leaves nothing of the past.
//!
//! Each finds out first what is due, and does it then: in between whoever asks can look whether it
//! is still theirs to do. Nothing here relies on that. Two at once cost work, never rows.

mod checkpoint;
mod clean;
mod compact;
mod drafts;
mod layout;
mod past;
mod purge;
mod tombstones;
mod unfinished;
mod unreferenced;

pub use clean::PastLog;
pub use compact::{Compacted, Rewritten};
pub use drafts::Drafts;
pub use layout::CompactionRules;
pub use past::Past;
pub use purge::{Pins, PurgeHeld, PurgeOrder};
pub use unfinished::Unfinished;
pub use unreferenced::Unreferenced;
