//! Section `[metrics]`.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where metrics are served beside `/metrics`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsConfig {
    /// An address on which `/metrics` needs no token, in plain HTTP; none by default.
    #[schema(value_type = Option<String>)]
    pub listen: Option<SocketAddr>,
}
