//! Consent: who withdraws is gone, and it can be proved.

mod certificates;
mod error;
mod signing_key;

pub use certificates::{CertificateDraft, Certificates};
pub use error::CertificateError;
pub use signing_key::SigningKey;
