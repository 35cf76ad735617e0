//! What a record says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::literals::Redacted;
use super::redactable::Redactable;

/// Bytes of a route or resource.
const RESOURCE_BYTES: usize = 256;

/// What was done or asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A statement whose rows are its answer.
    Sql,
    /// A statement that runs on its own.
    Statement,
    /// Rows of a statement's kept result.
    Result,
    /// A load into landing.
    Load,
    /// A promotion.
    Promotion,
    /// Maintenance of tables.
    Maintenance,
    /// A withdrawn consent.
    Consent,
    /// A request that was not let in.
    Denied,
    /// Files of a table for the Delta Sharing protocol: their URLs, or bytes of one.
    Share,
    /// A snapshot is made, given or removed.
    Snapshot,
    /// Reading the audit.
    Audit,
}

impl Action {
    /// All actions.
    pub const ALL: [Action; 11] = [
        Action::Sql,
        Action::Statement,
        Action::Result,
        Action::Load,
        Action::Promotion,
        Action::Maintenance,
        Action::Consent,
        Action::Denied,
        Action::Share,
        Action::Snapshot,
        Action::Audit,
    ];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Action::Sql => "sql",
            Action::Statement => "statement",
            Action::Result => "result",
            Action::Load => "load",
            Action::Promotion => "promotion",
            Action::Maintenance => "maintenance",
            Action::Consent => "consent",
            Action::Denied => "denied",
            Action::Share => "share",
            Action::Snapshot => "snapshot",
            Action::Audit => "audit",
        }
    }

    /// The action of a word.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As asked.
    Ok,
    /// With an error.
    Failed,
    /// Given up: by the caller, who hung up, or by a cancel.
    Cancelled,
    /// Not let in.
    Denied,
    /// The server ended before it did; what had left by then is not known.
    Interrupted,
}

impl Outcome {
    /// All outcomes.
    pub const ALL: [Outcome; 5] =
        [Outcome::Ok, Outcome::Failed, Outcome::Cancelled, Outcome::Denied, Outcome::Interrupted];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Failed => "failed",
            Outcome::Cancelled => "cancelled",
            Outcome::Denied => "denied",
            Outcome::Interrupted => "interrupted",
        }
    }

    /// The outcome of a word.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }
}

/// Tables by name, each with its version where that is known.
pub type Versions = BTreeMap<String, Option<u64>>;

/// What is known when an action begins.
#[derive(Clone, Debug)]
pub struct Draft {
    /// What is done or asked for.
    pub action: Action,
    /// By which route or command: the route's template, never a path as it was sent.
    pub resource: String,
    /// The id of the request.
    pub request_id: Option<String>,
    /// The token's `sub`.
    pub principal: Option<String>,
    /// The token's roles, by name.
    pub roles: Vec<&'static str>,
    /// The address that the request came from.
    pub peer: Option<String>,
    /// The pseudonym of the customer that it is about.
    pub subject: Option<String>,
    /// The statement, without its literals.
    pub statement: Option<Redacted>,
    /// The tables that it reads or changes.
    pub tables: Versions,
}

impl Draft {
    /// An action of nobody in particular.
    pub fn new(action: Action, resource: impl Into<String>) -> Self {
        Self {
            action,
            resource: resource.into(),
            request_id: None,
            principal: None,
            roles: Vec::new(),
            peer: None,
            subject: None,
            statement: None,
            tables: Versions::new(),
        }
    }
}

/// What is known when it has ended.
#[derive(Clone, Debug)]
pub struct End {
    /// How it ended.
    pub outcome: Outcome,
    /// The stable word of its error.
    pub code: Option<String>,
    /// Rows that came in.
    pub rows_in: Option<u64>,
    /// Rows that went out; those that were counted where this says nothing.
    pub rows_out: Option<u64>,
    /// Bytes that went out; those that were counted where this says nothing.
    pub bytes_out: Option<u64>,
    /// The tables, where they were not known before.
    pub tables: Option<Versions>,
}

impl End {
    /// Ended as asked.
    pub fn ok() -> Self {
        Self {
            outcome: Outcome::Ok,
            code: None,
            rows_in: None,
            rows_out: None,
            bytes_out: None,
            tables: None,
        }
    }

    /// Ended otherwise, with the error's stable word.
    pub fn other(outcome: Outcome, code: &str) -> Self {
        Self { outcome, code: Some(code.to_owned()), ..Self::ok() }
    }
}

/// A record before it has its place in a chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// UUIDv7 of the moment at which it began: the order of ids is that of beginnings.
    pub id: String,
    /// When it began, in milliseconds since 1970.
    pub at: i64,
    /// The id of the request.
    pub request_id: Option<String>,
    /// The token's `sub`.
    pub principal: Redactable,
    /// The token's roles, with a comma between two.
    pub roles: Option<String>,
    /// The address that the request came from.
    pub peer: Redactable,
    /// What was done or asked for: the word of an [`Action`].
    pub action: String,
    /// By which route or command.
    pub resource: String,
    /// The pseudonym of the customer that it was about.
    pub subject: Redactable,
    /// JSON: tables with their versions, `{"name":3}`.
    pub tables: Option<String>,
    /// Rows that came in.
    pub rows_in: Option<i64>,
    /// Rows that went out.
    pub rows_out: Option<i64>,
    /// Bytes that went out.
    pub bytes_out: Option<i64>,
    /// How many like it this record stands for.
    pub times: i64,
    /// How it ended: the word of an [`Outcome`].
    pub outcome: String,
    /// The stable word of its error.
    pub code: Option<String>,
    /// How long it took.
    pub duration_ms: Option<i64>,
    /// The statement, without its literals.
    pub statement: Redactable,
}

impl Facts {
    /// A record of something that has begun. Until it is told how it ended, it says that it was
    /// interrupted: that is what it will be if the server ends first.
    pub(super) fn begun(draft: Draft) -> Self {
        let id = Uuid::now_v7();
        let at = id.get_timestamp().map_or(0, |moment| {
            let (seconds, nanos) = moment.to_unix();
            seconds.saturating_mul(1000).saturating_add(u64::from(nanos) / 1_000_000)
        });
        let mut resource = draft.resource;
        resource.truncate(resource.floor_char_boundary(RESOURCE_BYTES));
        Self {
            id: id.to_string(),
            at: signed(at),
            request_id: draft.request_id,
            principal: Redactable::new(draft.principal),
            roles: (!draft.roles.is_empty()).then(|| draft.roles.join(",")),
            peer: Redactable::new(draft.peer),
            action: draft.action.name().to_owned(),
            resource,
            subject: Redactable::new(draft.subject),
            tables: json(&draft.tables),
            rows_in: None,
            rows_out: None,
            bytes_out: None,
            times: 1,
            outcome: Outcome::Interrupted.name().to_owned(),
            code: None,
            duration_ms: None,
            statement: Redactable::new(draft.statement.map(Redacted::into_text)),
        }
    }

    /// Says how it ended.
    pub(super) fn end(&mut self, end: End, duration_ms: u64) {
        self.outcome = end.outcome.name().to_owned();
        self.code = end.code;
        self.rows_in = end.rows_in.map(signed);
        self.rows_out = end.rows_out.map(signed);
        self.bytes_out = end.bytes_out.map(signed);
        self.duration_ms = Some(signed(duration_ms));
        if let Some(tables) = end.tables {
            self.tables = json(&tables);
        }
    }
}

/// A record in its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The chain that it is in: the id of the server that wrote it.
    pub chain: String,
    /// Its place: 1, 2, 3, …
    pub seq: i64,
    /// The hash of the record before it.
    pub previous: String,
    /// Its hash.
    pub hash: String,
    /// What it says.
    pub facts: Facts,
}

/// The tables as JSON: an object, its keys in order.
pub(super) fn json(tables: &Versions) -> Option<String> {
    match tables.is_empty() {
        true => None,
        false => serde_json::to_string(tables).ok(),
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
