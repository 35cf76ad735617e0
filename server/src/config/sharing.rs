//! Section `[sharing]`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::{ConfigError, within};
use super::snapshot::LONGEST_REDIRECT;

/// How tables are shared by the Delta Sharing protocol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
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
    /// Whether the values make sense.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        // A signed URL of S3 holds no longer than a week.
        within("sharing.url_seconds", self.url_seconds, 1, 7 * 86_400)?;
        within("sharing.redirect_seconds", self.redirect_seconds, 0, LONGEST_REDIRECT)?;
        match &self.url {
            Some(text) if !is_web(text) => {
                Err(ConfigError::value("sharing.url", "is not a URL like https://host"))
            }
            _ => Ok(()),
        }
    }
}

fn is_web(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}
