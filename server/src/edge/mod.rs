//! Where connections come in: their limits, TLS, and what every request and answer has in common.
//! What an answer says is the router's.

mod activity;
mod bounds;
mod compress;
mod connection;
mod cors;
mod error;
mod layers;
mod observe;
mod problem;
mod request_id;
mod server;
mod tls;
mod upload;

pub use bounds::OwnLimits;
pub use error::EdgeError;
pub use observe::asked_by;
pub use problem::{SHARING, answer, problem};
pub use request_id::RequestId;
pub use server::Server;
pub use tls::check as check_tls;
