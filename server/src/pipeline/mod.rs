//! The declaration of all tables: what lands, what is derived, what each column reveals.
//!
//! A pipeline is data: one `pipeline.toml` and one SELECT per derived table. It is read
//! ([`files`]), checked against itself ([`check`]), put in dependency order ([`graph`]) and
//! planned against empty tables ([`planned`]) before anything runs; [`load`] does it all.

mod check;
mod column;
mod consent;
mod definition;
mod error;
mod files;
mod grant;
mod graph;
mod linear;
mod load;
mod local;
mod model;
mod planned;
mod quality;
mod snapshot;
mod spec;
mod tables;
mod zone;

pub use column::{Class, Column, Kind, stored_columns};
pub use consent::{Consent, REQUEST, REVOKED_AT};
pub use error::PipelineError;
pub use files::PipelineFiles;
pub use grant::{Grant, Sight};
pub use model::{
    Demo, Derived, LOAD_POSITION, LOAD_SEQUENCE, Pipeline, Rhythm, Rule, SUBJECT_ID, SnapshotRules,
    Source,
};
pub use quality::{Check, CheckAction, CheckRule, condition};
pub use tables::{Belongs, Declared, FILE, LINE, RAW};
pub use zone::Zone;
