//! Section `[limits]`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::{ConfigError, within};

/// What statements may take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Statements that run at once, of all roles together.
    pub statements_at_once: usize,
    /// Statements that may wait for their turn; further ones are turned away.
    pub queued: usize,
    /// Seconds that a statement waits for its turn.
    pub queue_seconds: u64,
    /// By role; a role that is not named has the defaults.
    pub roles: BTreeMap<String, RoleLimitsConfig>,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self { statements_at_once: 8, queued: 64, queue_seconds: 10, roles: BTreeMap::new() }
    }
}

/// What one statement of a role may take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RoleLimitsConfig {
    /// Bytes of a statement's text.
    pub statement_bytes: usize,
    /// Levels of parentheses in it.
    pub nesting: usize,
    /// Operators, joins and set operations that may follow each other.
    pub chain: usize,
    /// Seconds of a statement whose answer is waited for, its reading included.
    pub seconds: u64,
    /// Seconds of a statement that runs by itself.
    pub async_seconds: u64,
    /// Rows of a result.
    pub rows: u64,
    /// Bytes of a result, before HTTP compresses them.
    pub bytes: u64,
    /// Bytes of memory that its plan may hold.
    pub memory_bytes: usize,
    /// Statements of this role that run at once.
    pub statements_at_once: usize,
}

impl Default for RoleLimitsConfig {
    fn default() -> Self {
        Self {
            statement_bytes: 256 * 1024,
            nesting: 48,
            chain: 400,
            seconds: 120,
            async_seconds: 3600,
            rows: 100_000_000,
            bytes: 16 << 30,
            memory_bytes: 256 << 20,
            statements_at_once: 8,
        }
    }
}

impl LimitsConfig {
    /// Whether the values make sense.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within("limits.statements_at_once", self.statements_at_once, 1, 1 << 20)?;
        within("limits.queued", self.queued, 0, 1 << 20)?;
        within("limits.queue_seconds", self.queue_seconds, 0, 86_400)?;
        for (role, own) in &self.roles {
            let key = |word: &str| format!("limits.roles.{role}.{word}");
            within(key("statement_bytes"), own.statement_bytes, 1, 1 << 30)?;
            within(key("nesting"), own.nesting, 1, 10_000)?;
            within(key("chain"), own.chain, 1, 1 << 20)?;
            within(key("seconds"), own.seconds, 1, 7 * 86_400)?;
            within(key("async_seconds"), own.async_seconds, 1, 7 * 86_400)?;
            within(key("rows"), own.rows, 1, u64::MAX >> 1)?;
            within(key("bytes"), own.bytes, 1, u64::MAX >> 1)?;
            within(key("memory_bytes"), own.memory_bytes, 1, usize::MAX >> 1)?;
            within(key("statements_at_once"), own.statements_at_once, 1, 1 << 20)?;
        }
        Ok(())
    }
}
