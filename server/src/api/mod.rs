//! HTTP: thin handlers, one file per resource.

mod audit;
mod authenticated;
mod denied;
mod error;
mod health;
mod origin;
mod router;
mod state;
mod tables;

pub use router::router;
pub use state::ApiState;
