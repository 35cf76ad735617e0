//! How a table is brought up to date: what changed decides.

use std::fmt;

use super::error::PromotionError;
use super::lineage::{Lineage, Unknown};
use super::sources::{Changed, Sources};
use crate::lake::Table;
use crate::pipeline::Derived;

/// Commits of sources without any change of rows after which a table notes that it has seen them,
/// so that they are not read for ever.
const SEEN: u64 = 20;
/// Changed rows of a source that are never most of it.
const SMALL: u64 = 10_000;

/// How a table is brought up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nothing was to be done.
    Nothing,
    /// New rows of linear sources were put through the SELECT, and what the table did not hold was
    /// added.
    Append,
    /// The rows of the touched keys were computed anew and replaced.
    Subjects,
    /// All rows were computed anew.
    Rebuild,
}

impl Mode {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Nothing => "nothing",
            Mode::Append => "append",
            Mode::Subjects => "subjects",
            Mode::Rebuild => "rebuild",
        }
    }
}

impl Mode {
    /// The mode of a word.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let all = [Self::Nothing, Self::Append, Self::Subjects, Self::Rebuild];
        all.into_iter().find(|mode| mode.name() == name)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a table is brought up to date as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Why {
    /// In words, without names: a history is read by people who may not see every source.
    pub reason: String,
    /// The sources that it is about.
    pub sources: Vec<String>,
}

impl Why {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), sources: Vec::new() }
    }

    fn about(self, sources: impl IntoIterator<Item = String>) -> Self {
        Self { sources: sources.into_iter().collect(), ..self }
    }

    /// The sources that changed, and how.
    pub(super) fn changed(reason: &str, changed: &[Changed]) -> Self {
        Self::new(reason).about(changed.iter().map(|source| source.name.clone()))
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.sources.is_empty() {
            true => f.write_str(&self.reason),
            false => write!(f, "{} ({})", self.reason, self.sources.join(", ")),
        }
    }
}

/// What is to be done, and why.
#[derive(Debug)]
pub(super) enum Plan {
    /// Nothing; where it says so, what was seen is noted.
    Nothing { note: bool },
    /// See [`Mode::Append`].
    Append(Vec<Changed>),
    /// See [`Mode::Subjects`].
    Subjects(Vec<Changed>),
    /// See [`Mode::Rebuild`].
    Rebuild(Why),
}

impl Plan {
    /// Looks at what changed since the table was last brought up to date.
    pub async fn make(
        derived: &Derived,
        table: &Table,
        sources: &Sources,
        lineage: &Lineage,
    ) -> Result<Self, PromotionError> {
        let rebuild = |why: Why| Ok(Self::Rebuild(why));
        let known = match lineage.known_in(table).await? {
            Ok(known) => known,
            Err(Unknown::New) => return rebuild(Why::new("it is new")),
            Err(Unknown::OtherDefinition) => return rebuild(Why::new("its definition changed")),
            Err(Unknown::OtherSources) => return rebuild(Why::new("it has another source")),
        };
        let since = match sources.since(&known).await? {
            Ok(since) => since,
            Err((source, untold)) => {
                return rebuild(Why::new(untold.reason()).about([source]));
            }
        };
        if since.changed.is_empty() {
            return Ok(Self::Nothing { note: since.commits >= SEEN });
        }
        let most = |source: &Changed| {
            let rows = source.changes.touched.rows();
            rows > SMALL && rows.saturating_mul(2) > source.rows
        };
        if let Some(source) = since.changed.iter().find(|source| most(source)) {
            return rebuild(Why::new("most of a source changed").about([source.name.clone()]));
        }
        let linear =
            |source: &Changed| !source.changes.deletes && derived.linear.contains(&source.name);
        if since.changed.iter().all(linear) {
            return Ok(Self::Append(since.changed));
        }
        match &derived.not_local {
            None => Ok(Self::Subjects(since.changed)),
            Some(reason) => {
                rebuild(Why::new(format!("its rows cannot be replaced by key: {reason}")))
            }
        }
    }
}
