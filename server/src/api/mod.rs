//! HTTP: thin handlers, one file per resource.

mod accept;
mod audit;
mod authenticated;
mod denied;
mod docs;
mod document;
mod error;
mod events;
mod extract;
mod health;
mod history;
mod idempotency;
mod imports;
mod landing;
mod limits;
mod linger;
mod maintenance;
mod metrics;
mod moment;
mod origin;
mod prefer;
mod promotions;
mod query_code;
mod recorded;
mod result;
mod router;
mod routes;
mod sql;
mod state;
mod statements;
mod tables;
mod work;

pub use metrics::metrics_router;
pub use router::{OWN_LIMITS, openapi, router};
pub use state::ApiState;
