//! Section `[sharing]`.

use serde::Deserialize;

use super::error::ConfigError;
use super::snapshot::redirect;

/// How tables are shared by the Delta Sharing protocol.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SharingConfig {
    /// Seconds for which the URL of a file holds.
    pub url_seconds: u64,
    /// Where clients reach this server, such as `https://lake.example.com`; without it, the URLs of
    /// files begin as the request for them did.
    pub url: Option<String>,
    /// Seconds for which a URL of the store holds that is given instead of the bytes of a file; 0: none
    /// is. The acknowledgement of a consent that ended waits for the last such URL.
    pub redirect_seconds: u64,
}

impl Default for SharingConfig {
    fn default() -> Self {
        Self { url_seconds: 3600, url: None, redirect_seconds: 0 }
    }
}

impl SharingConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        redirect("sharing.redirect_seconds", self.redirect_seconds)
    }
}
