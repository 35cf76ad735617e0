//! HTTP: thin handlers, one file per resource.

mod health;
mod router;

pub use router::router;
