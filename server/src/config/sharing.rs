//! Section `[sharing]`.

use serde::Deserialize;

/// How tables are shared by the Delta Sharing protocol.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SharingConfig {
    /// Seconds for which the URL of a file holds.
    pub url_seconds: u64,
    /// Where clients reach this server, such as `https://lake.example.com`; without it, the URLs of
    /// files begin as the request for them did.
    pub url: Option<String>,
}

impl Default for SharingConfig {
    fn default() -> Self {
        Self { url_seconds: 3600, url: None }
    }
}
