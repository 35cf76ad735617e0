//! The declaration of all tables: what lands, what is derived, what each column reveals.
//!
//! A pipeline is data: one `pipeline.toml` and one SELECT per derived table. It is read
//! ([`files`]), checked against itself ([`check`]), put in dependency order ([`graph`]) and
//! planned against empty tables ([`planned`]) before anything runs.

mod check;
mod column;
mod definition;
mod error;
mod files;
mod grant;
mod graph;
mod model;
mod planned;
mod spec;
mod tables;

pub use column::{Class, Column, Kind, stored_columns};
pub use error::PipelineError;
pub use files::PipelineFiles;
pub use grant::{Grant, Sight};
pub use model::{
    Demo, Derived, LOAD_POSITION, LOAD_SEQUENCE, Pipeline, Rule, SUBJECT_ID, Source, Zone,
};
pub use tables::Declared;
