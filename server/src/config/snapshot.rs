//! Section `[snapshot]`.

use serde::Deserialize;

use super::error::{ConfigError, value};

/// The longest time for which a URL of the store may hold, in seconds: so long nobody's rows may be
/// acknowledged as gone.
const LONGEST: u64 = 3600;

/// How snapshots are made and given.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SnapshotConfig {
    /// Whether one is made after each promotion that succeeded; else the pipeline says it.
    pub after_promotion: Option<bool>,
    /// Seconds for which a URL of the store holds that `?redirect=1` is answered with; 0: the bytes
    /// are given instead. The acknowledgement of a consent that ended waits for the last such URL.
    pub redirect_seconds: u64,
}

impl SnapshotConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        redirect("snapshot.redirect_seconds", self.redirect_seconds)
    }
}

/// Checks for how long URLs of the store may hold.
pub(super) fn redirect(key: &'static str, seconds: u64) -> Result<(), ConfigError> {
    match seconds > LONGEST {
        true => Err(value(key, format!("{seconds} is more than {LONGEST}"))),
        false => Ok(()),
    }
}
