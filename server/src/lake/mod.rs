//! The only code that knows Delta tables and how DataFusion reads them: where a lake is, how its
//! tables are opened, written and committed, and the sessions that plans run in.

mod bucket;
mod bytes;
mod cache;
mod changes;
mod commit;
mod compared;
mod copy;
mod counted;
mod dialect;
mod error;
mod fence;
mod files;
mod full;
mod give_way;
mod history;
mod kept;
mod location;
mod log_files;
mod maintain;
mod object;
mod order;
mod outgoing;
mod outside;
mod parts;
mod pieces;
mod probe;
mod purged;
mod read_once;
mod scan;
mod scratch;
pub mod session;
mod share;
mod sortable;
mod steps;
mod stoppable;
mod store;
mod store_keys;
mod table;
mod versions;
mod watch;
mod without;
mod write;

pub use bytes::ObjectBytes;
pub use changes::{Changes, Untold};
pub use commit::{Author, Change, Mode, Replaced, commit};
pub use compared::Compared;
pub use copy::Stored;
pub use dialect::StatementDialect;
pub use error::LakeError;
pub use files::{DataFile, DataFiles};
pub use full::failure;
pub use history::Committed;
pub use kept::Kept;
pub use location::Location;
pub use maintain::{
    Compacted, CompactionRules, Drafts, Past, PastLog, Pins, PurgeHeld, PurgeOrder, Rewritten,
    Unfinished, Unreferenced,
};
pub use outgoing::{Became, ChangedRows};
pub use outside::{Outside, OutsideFile};
pub use parts::Part;
pub use purged::Purged;
pub use scan::{
    Needle, NeedleError, Needles, Place, ScanMatch, ScanProgress, ScanReport, ScanScope, Unverified,
};
pub use session::{SessionLimits, Sessions};
pub use steps::Step;
pub use stoppable::StopWhen;
pub use store::Lake;
pub use table::{Columns, Table, TableStats};
pub use versions::CommitTime;
pub use watch::{Deadline, Watch};
pub use without::Without;
pub use write::{Writer, Written, conform, write_set};
