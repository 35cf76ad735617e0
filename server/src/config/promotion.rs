//! Section `[promotion]`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::{ConfigError, within};

/// When promotions run, and how they are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PromotionConfig {
    /// When all tables are brought up to date: five fields as in a crontab, in UTC. It stands in the
    /// place of the pipeline's own; an empty text is never.
    pub schedule: Option<String>,
    /// Seconds after a load in which others may come, until all tables are brought up to date. It
    /// stands in the place of the pipeline's own; a negative number is never.
    pub after_load_seconds: Option<i64>,
    /// Promotions that may wait; further ones are turned away.
    pub queued: usize,
    /// Seconds without a sign of life after which another server takes a promotion over.
    pub lease_seconds: u64,
    /// Seconds for which an ended promotion is kept, and an idempotency key remembered.
    pub keep_seconds: u64,
}

impl Default for PromotionConfig {
    fn default() -> Self {
        Self {
            schedule: None,
            after_load_seconds: None,
            queued: 16,
            lease_seconds: 15,
            keep_seconds: 7 * 24 * 3600,
        }
    }
}

impl PromotionConfig {
    /// Whether the values make sense.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within("promotion.queued", self.queued, 0, 1 << 30)?;
        within("promotion.lease_seconds", self.lease_seconds, 1, 3600)?;
        within("promotion.keep_seconds", self.keep_seconds, 0, 1 << 32)
    }
}
