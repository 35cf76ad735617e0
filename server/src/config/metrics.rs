//! Section `[metrics]`.

use std::net::SocketAddr;

use serde::Deserialize;

/// Where metrics are served beside `/metrics`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsConfig {
    /// An address on which `/metrics` needs no token, in plain HTTP; none by default.
    pub listen: Option<SocketAddr>,
}
