//! HTTP: thin handlers, one file per resource.

mod authenticated;
mod error;
mod health;
mod router;
mod state;
mod tables;

pub use router::router;
pub use state::ApiState;
