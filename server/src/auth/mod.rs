//! Who is asking, and what they may see: tokens are checked by RFC 8725, roles come from the
//! claim `roles`, and what a role reads is declared by the pipeline.

mod error;
mod jwks;
mod key;
mod local;
mod principal;
mod token;
mod verifier;

pub use error::{AuthError, KeyError};
pub use jwks::{Freshness, JwksSource};
pub use local::LocalKey;
pub use principal::{Principal, Role};
pub use token::{Audience, Claims, TokenRules};
pub use verifier::{Keys, Verifier};
