//! Section `[consent]`.

use serde::Deserialize;

/// How soon a withdrawn consent is obeyed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsentConfig {
    /// Milliseconds after which the deny list is looked at anew, at most 500: an acknowledgement
    /// waits for servers that look no more often than that.
    pub staleness_ms: u64,
}

impl Default for ConsentConfig {
    fn default() -> Self {
        Self { staleness_ms: 500 }
    }
}
