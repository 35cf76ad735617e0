//! Derived tables are brought up to date: each is what its SELECT gives over its sources.
//!
//! The commit that does it carries one `txn` action per source (`app_id` = the source's name,
//! `version` = the Delta version of the source that is included) and one for the definition. So
//! what a table holds and what it was made from change in one atomic commit, and no second record
//! can disagree with it.

mod append;
mod checks;
mod claimants;
mod claims;
mod difference;
mod done;
mod ended;
mod error;
mod lag;
mod lineage;
mod plan;
mod rebuild;
mod row_set;
mod run;
mod runs;
mod runs_table;
mod schedule;
mod select;
mod service;
mod sources;
mod subjects;
mod touched;
mod withdrawn;
mod work;

pub use ended::{Ended, Left, Looked};
pub use error::PromotionError;
pub use lag::Lag;
pub use plan::{Mode, Why};
pub use run::{Promotion, TableRun};
pub use runs::Runs;
pub use runs_table::declared;
pub use schedule::{Schedule, ScheduleError};
pub use service::{PromotionRules, Promotions};
