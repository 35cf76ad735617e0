//! Consent: who withdraws it is gone from every derived table and every version of it, who is erased
//! from everywhere, and that can be proved.
//!
//! A revocation is long work in steps that can each be repeated. The rows are denied: no read returns
//! them any more ([`deny`]). A promotion takes them out of the derived tables ([`delete`]). What the
//! tables leave behind is purged ([`purge`]). A scan looks whether anything is left ([`verify`]). That
//! is proved ([`certify`]). An erasure is the same work, and two steps more: the landing zone is emptied
//! before the derived tables ([`erase`]), and our own records before the scan ([`redact`]). Those that
//! are open at the same time go through one promotion, one purge and one scan ([`saga`]). Consents that
//! end by a load are looked for ([`looks`]).

mod certificates;
mod certify;
mod delete;
mod deny;
mod erase;
mod erasures;
mod error;
mod holds;
mod in_use;
mod kept;
mod looks;
mod needles;
mod purge;
mod redact;
mod saga;
mod secrets;
mod service;
mod signing_key;
mod verify;
mod who;

pub use certificates::{CertificateDraft, Certificates};
pub use error::{CertificateError, ConsentError};
pub use holds::Holds;
pub use looks::Looks;
pub use saga::Saga;
pub use secrets::Secrets;
pub use service::{ConsentRules, Revocations};
pub use signing_key::SigningKey;
pub use who::Who;
