//! HTTP: thin handlers, one file per resource.

mod authenticated;
mod docs;
mod document;
mod error;
mod extract;
mod health;
mod history;
mod moment;
mod router;
mod routes;
mod state;
mod tables;

pub use router::{openapi, router};
pub use state::ApiState;
