//! Zones.

use std::fmt;

use serde::Deserialize;

/// Where in the flow of data a table stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Zone {
    /// As received.
    Landing,
    /// Consenting customers only.
    Trusted,
    /// Ready for its use.
    Curated,
    /// The service's own tables.
    System,
}

impl Zone {
    /// The word for it, also the name of its folder in the lake.
    pub const fn name(self) -> &'static str {
        match self {
            Zone::Landing => "landing",
            Zone::Trusted => "trusted",
            Zone::Curated => "curated",
            Zone::System => "system",
        }
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
