//! Section `[auth]`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::{ConfigError, filled, within};

/// Whose tokens are accepted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    /// The only accepted `iss`.
    pub issuer: String,
    /// What `aud` must be or contain.
    pub audience: String,
    /// Seconds that the clocks of issuer and server may be apart.
    pub leeway_seconds: u64,
    /// A JWKS: a file, https://…, or http:// on loopback. With it the local key is not accepted.
    pub jwks: Option<String>,
    /// Seconds after which the JWKS is read again: a removed key stops working then.
    pub jwks_refresh_seconds: u64,
    /// Seconds between two readings, whatever tokens ask for.
    pub jwks_pause_seconds: u64,
    /// Seconds for which keys are used that cannot be read again.
    pub jwks_stale_seconds: u64,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            issuer: "stedi".to_owned(),
            audience: "stedi".to_owned(),
            leeway_seconds: 30,
            jwks: None,
            jwks_refresh_seconds: 300,
            jwks_pause_seconds: 10,
            jwks_stale_seconds: 3600,
        }
    }
}

impl AuthConfig {
    /// Whether the values make sense.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        filled("auth.issuer", &self.issuer)?;
        filled("auth.audience", &self.audience)?;
        if let Some(jwks) = &self.jwks {
            filled("auth.jwks", jwks)?;
        }
        within("auth.leeway_seconds", self.leeway_seconds, 0, 3600)?;
        within("auth.jwks_refresh_seconds", self.jwks_refresh_seconds, 1, 86_400)?;
        within("auth.jwks_pause_seconds", self.jwks_pause_seconds, 0, 86_400)?;
        within("auth.jwks_stale_seconds", self.jwks_stale_seconds, 0, 30 * 86_400)
    }
}
