//! Client of the STEDI lakehouse: one method per call of the service, and checks that need none.

mod certificate;
mod error;
mod events;
mod maintenance;
mod promotions;
mod revocations;
mod server;

pub use certificate::{CertificateError, CertificateKey, Verified, chained};
pub use error::ClientError;
pub use server::Server;
