//! What is kept of a statement.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::auth::{Principal, Role};
use crate::query::{Parameters, Statement};

/// What was asked, by whom.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Asked {
    pub sql: String,
    pub parameters: Vec<serde_json::Value>,
    /// The claim `sub` of whoever asked.
    pub principal: String,
    /// Their roles then.
    pub roles: Vec<String>,
    /// Epoch milliseconds.
    pub created: i64,
    /// Epoch milliseconds after which nothing of it is kept.
    pub expires: i64,
}

impl Asked {
    pub fn principal(&self) -> Principal {
        let roles = self.roles.iter().filter_map(|role| Role::parse(role)).collect();
        Principal { subject: self.principal.clone(), roles, until: None }
    }

    pub fn statement(&self) -> Statement {
        let parameters = Parameters::new(self.parameters.clone());
        Statement { sql: self.sql.clone(), parameters }
    }

    /// Whether somebody may read its result: an admin, or who asked, unless a role that they asked
    /// with was taken from them.
    pub fn is_for(&self, principal: &Principal) -> bool {
        let has = |role: &String| principal.roles.iter().any(|own| own.name() == role);
        principal.roles.contains(&Role::Admin)
            || self.principal == principal.subject && self.roles.iter().all(has)
    }

    /// Whether it is the same question of the same person.
    pub fn same(&self, other: &Self) -> bool {
        let parts =
            |asked: &Self| (asked.sql.clone(), asked.parameters.clone(), asked.principal.clone());
        parts(self) == parts(other)
    }
}

/// How far a statement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It waits for its turn, or for a server.
    Queued,
    /// It runs.
    Running,
    /// Its result is there.
    Succeeded,
    /// It failed.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
}

impl State {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more will happen.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// A part of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Rows before it.
    pub row_offset: u64,
    /// Its rows.
    pub rows: u64,
    /// Bytes as it is kept.
    pub bytes: u64,
}

/// Why a statement failed: a stable word, and the text for whoever asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The word of the problem.
    pub code: String,
    /// What went wrong.
    pub detail: String,
}

/// One attempt.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Run {
    pub state: State,
    /// Epoch milliseconds.
    pub started: i64,
    /// Epoch milliseconds of the last sign of life.
    pub seen: i64,
    /// Epoch milliseconds.
    pub finished: Option<i64>,
    pub rows: u64,
    pub chunks: Vec<Chunk>,
    pub versions: BTreeMap<String, BTreeSet<u64>>,
    /// The last object of the deny list that it obeys.
    #[serde(default)]
    pub denied: u64,
    pub error: Option<Outcome>,
    /// Whether its server gave it up, so that another one can begin at once.
    pub left: bool,
}

impl Run {
    /// Each table that it reads, with its version.
    pub fn reads(&self) -> Vec<(String, u64)> {
        let each = self.versions.iter().flat_map(|(table, versions)| {
            versions.iter().map(move |version| (table.clone(), *version))
        });
        each.collect()
    }

    pub fn begun(now: i64) -> Self {
        Self {
            state: State::Queued,
            started: now,
            seen: now,
            finished: None,
            rows: 0,
            chunks: Vec::new(),
            versions: BTreeMap::new(),
            denied: 0,
            error: None,
            left: false,
        }
    }
}
