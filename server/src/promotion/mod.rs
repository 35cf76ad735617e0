//! Derived tables are brought up to date: each is what its SELECT gives over its sources.
//!
//! The commit that does it carries one `txn` action per source (`app_id` = the source's name,
//! `version` = the Delta version of the source that is included) and one for the definition. So
//! what a table holds and what it was made from change in one atomic commit, and no second record
//! can disagree with it.

mod error;
mod lineage;
mod rebuild;
mod run;

pub use error::PromotionError;
pub use run::{Promotion, TableRun};
