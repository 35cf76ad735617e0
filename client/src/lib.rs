//! Client of the STEDI lakehouse: one method per call of the service.

mod error;
mod events;
mod maintenance;
mod promotions;
mod server;

pub use error::ClientError;
pub use server::Server;
