//! Why a token is not accepted, and what can be wrong with keys.

use std::path::PathBuf;

/// A request that is not let in. The texts are for the sender and say nothing about keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// No `Authorization: Bearer` header.
    #[error("a bearer token is required")]
    Missing,
    /// Not a token that this server could accept.
    #[error("the token is malformed")]
    Malformed,
    /// The key is unknown, the algorithm is not the key's, or the signature is wrong.
    #[error("the token's signature is not valid")]
    Signature,
    /// `exp` is past.
    #[error("the token has expired")]
    Expired,
    /// `nbf` is to come.
    #[error("the token is not valid yet")]
    NotYet,
    /// `iss`, `aud`, `exp`, `nbf` or `sub` is missing, of the wrong type, or not this server's.
    #[error("a claim of the token is missing or not this server's")]
    Claims,
    /// The keys cannot be had at the moment.
    #[error("the keys that tokens are checked with cannot be had at the moment")]
    NoKeys,
    /// The token's roles do not allow this.
    #[error("the token's roles do not allow this")]
    Forbidden,
}

/// Keys that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A key file cannot be read or made.
    #[error("key {}: {source}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A JWKS cannot be had.
    #[error("JWKS {source_name}: {reason}")]
    Jwks {
        /// File or URL.
        source_name: String,
        /// Why.
        reason: String,
    },
    /// The setting that names the JWKS is neither a file nor a URL that is safe to ask.
    #[error("auth.jwks {0:?}: expected a file, https://…, or http:// on loopback")]
    Source(String),
    /// A token cannot be signed.
    #[error("the token cannot be signed: {0}")]
    Sign(String),
}
