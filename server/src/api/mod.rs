//! HTTP: thin handlers, one file per resource.

mod authenticated;
mod author;
mod docs;
mod document;
mod error;
mod extract;
mod health;
mod history;
mod landing;
mod linger;
mod moment;
mod router;
mod routes;
mod state;
mod tables;

pub use router::{openapi, router};
pub use state::ApiState;
