//! What a token says.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::principal::Role;

/// The claims of a token; all but `roles` are required (RFC 7519, section 4.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who made it.
    pub iss: String,
    /// Whom it is for.
    pub aud: Audience,
    /// Whose it is.
    pub sub: String,
    /// Until when it is valid, in seconds since 1970.
    pub exp: u64,
    /// Since when it is valid, in seconds since 1970.
    pub nbf: u64,
    /// What its owner may do.
    #[serde(default)]
    pub roles: Vec<String>,
}

/// One audience or several (RFC 7519, section 4.1.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

/// What this server asks of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRules {
    /// The only accepted `iss`.
    pub issuer: String,
    /// What `aud` must be or contain.
    pub audience: String,
    /// How far clocks may be apart.
    pub leeway: Duration,
}

impl TokenRules {
    /// The claims of a token of this server's own, valid from `now` (seconds since 1970).
    pub fn claims(&self, subject: &str, role: Role, now: u64, ttl: Duration) -> Claims {
        Claims {
            iss: self.issuer.clone(),
            aud: Audience::One(self.audience.clone()),
            sub: subject.to_owned(),
            exp: now.saturating_add(ttl.as_secs()),
            nbf: now,
            roles: vec![role.name().to_owned()],
        }
    }
}
