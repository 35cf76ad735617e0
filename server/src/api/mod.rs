//! HTTP: thin handlers, one file per resource.

mod authenticated;
mod error;
mod health;
mod metrics;
mod router;
mod state;
mod tables;

pub use metrics::metrics_router;
pub use router::{OWN_LIMITS, router};
pub use state::ApiState;
