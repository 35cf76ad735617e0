//! Section `[snapshot]`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::{ConfigError, within};

/// The longest time for which a URL of the store may hold, in seconds: so long nobody's rows may be
/// acknowledged as gone.
pub(super) const LONGEST_REDIRECT: u64 = 3600;

/// How snapshots are made and given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SnapshotConfig {
    /// Whether one is made after each promotion that succeeded; else the pipeline says it.
    pub after_promotion: Option<bool>,
    /// Seconds for which a URL of the store holds that `?redirect=1` is answered with; 0: the bytes
    /// are given instead. The acknowledgement of a consent that ended waits for the last such URL.
    pub redirect_seconds: u64,
}

impl SnapshotConfig {
    /// Whether the values make sense.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within("snapshot.redirect_seconds", self.redirect_seconds, 0, LONGEST_REDIRECT)
    }
}
