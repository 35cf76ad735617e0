//! The STEDI lakehouse: owns the Delta Lake tables of all zones, promotes data between them and
//! serves it. `ARCHITECTURE.md` at the top of the repository is the map.

pub mod api;
pub mod app;
pub mod auth;
pub mod commands;
pub mod config;
pub mod consent;
pub mod edge;
mod key_file;
pub mod lake;
pub mod landing;
pub mod ledger;
pub mod maintenance;
pub mod metrics;
pub mod pipeline;
pub mod promotion;
pub mod query;
pub mod sample;
pub mod sharing;
pub mod snapshot;
pub mod traces;
