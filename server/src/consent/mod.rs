//! Consent: who withdraws it is gone from every derived table and every version of it, and that can be
//! proved.
//!
//! A revocation is long work in steps that can each be repeated. The rows are denied: no read returns
//! them any more ([`deny`]). A promotion takes them out of the derived tables ([`delete`]). What the
//! tables leave behind is purged ([`purge`]). A scan looks whether anything is left ([`verify`]). That
//! is proved ([`certify`]). Revocations that are open at the same time go through one promotion, one
//! purge and one scan ([`saga`]). Consents that end by a load are looked for ([`looks`]).

mod certificates;
mod certify;
mod delete;
mod deny;
mod error;
mod looks;
mod needles;
mod purge;
mod saga;
mod service;
mod signing_key;
mod verify;
mod who;

pub use certificates::{CertificateDraft, Certificates};
pub use error::{CertificateError, ConsentError};
pub use looks::Looks;
pub use saga::Saga;
pub use service::{ConsentRules, Revocations};
pub use signing_key::SigningKey;
pub use who::Who;
