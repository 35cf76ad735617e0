//! Section `[traces]`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::{ConfigError, filled, within};

/// Where traces go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TracesConfig {
    /// A collector, such as `http://127.0.0.1:4318`; `/v1/traces` is added where there is no path. No
    /// traces without it.
    pub endpoint: Option<String>,
    /// Headers that are sent to it, such as `authorization`.
    pub headers: BTreeMap<String, String>,
    /// Of a hundred traces that begin here, so many are told. A request that brings a `traceparent`
    /// is told if that says so.
    pub sample_percent: u64,
    /// The name of the service (`service.name`).
    pub service: String,
}

impl Default for TracesConfig {
    fn default() -> Self {
        Self {
            endpoint: None,
            headers: BTreeMap::new(),
            sample_percent: 100,
            service: "stedi".to_owned(),
        }
    }
}

impl TracesConfig {
    /// Whether the values make sense.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let is_web = |text: &str| {
            url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
        };
        if self.endpoint.as_deref().is_some_and(|text| !is_web(text)) {
            return Err(ConfigError::value(
                "traces.endpoint",
                "is not a URL like http://host:4318",
            ));
        }
        within("traces.sample_percent", self.sample_percent, 0, 100)?;
        filled("traces.service", &self.service)
    }
}
