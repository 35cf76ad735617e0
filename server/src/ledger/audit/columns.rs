//! The columns of the audit's table, written once: how they are stored, what they reveal, and
//! which of them the chain covers.

use std::sync::Arc;

use deltalake::arrow::datatypes::{DataType, Schema};

use super::record::Row;
use crate::lake::Columns;
use crate::pipeline::{Belongs, Class, Column, Declared, Zone};

/// The name of the audit's table.
pub const AUDIT_TABLE: &str = "audit";

/// A column.
pub(super) struct Spec {
    pub name: &'static str,
    pub number: bool,
    class: Class,
    /// Whether the chain covers it.
    pub hashed: bool,
    /// Whether the log keeps its minimum and maximum.
    indexed: bool,
}

const fn text(name: &'static str) -> Spec {
    Spec { name, number: false, class: Class::Plain, hashed: true, indexed: false }
}

const fn number(name: &'static str) -> Spec {
    Spec { number: true, ..text(name) }
}

/// A value that may be redacted, and its salt.
const fn redactable(name: &'static str, class: Class) -> Spec {
    Spec { class, hashed: false, ..text(name) }
}

/// In stored order. The order of the hashed ones is part of the chain's form.
pub(super) const SPECS: [Spec; 30] = [
    Spec { indexed: true, ..text("chain") },
    Spec { indexed: true, ..number("seq") },
    Spec { indexed: true, ..text("id") },
    Spec { indexed: true, ..number("at") },
    text("request_id"),
    redactable("principal", Class::Pii),
    text("roles"),
    redactable("peer", Class::Pii),
    Spec { indexed: true, ..text("action") },
    text("resource"),
    redactable("subject", Class::Pseudonym),
    text("tables"),
    number("rows_in"),
    number("rows_out"),
    number("bytes_out"),
    number("times"),
    Spec { indexed: true, ..text("outcome") },
    text("code"),
    number("duration_ms"),
    redactable("statement", Class::Pseudonym),
    text("previous"),
    Spec { hashed: false, ..text("hash") },
    redactable("principal_salt", Class::Plain),
    text("principal_digest"),
    redactable("peer_salt", Class::Plain),
    text("peer_digest"),
    redactable("subject_salt", Class::Plain),
    text("subject_digest"),
    redactable("statement_salt", Class::Plain),
    text("statement_digest"),
];

/// The value of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cell<'a> {
    Text(Option<&'a str>),
    Number(Option<i64>),
}

impl Row {
    /// The value of a column; of one that there is not, nothing.
    pub(super) fn cell(&self, column: &str) -> Cell<'_> {
        let facts = &self.facts;
        fn one(text: &str) -> Cell<'_> {
            Cell::Text(Some(text))
        }
        fn maybe(text: &Option<String>) -> Cell<'_> {
            Cell::Text(text.as_deref())
        }
        match column {
            "chain" => one(&self.chain),
            "seq" => Cell::Number(Some(self.seq)),
            "id" => one(&facts.id),
            "at" => Cell::Number(Some(facts.at)),
            "request_id" => maybe(&facts.request_id),
            "principal" => maybe(&facts.principal.value),
            "principal_salt" => maybe(&facts.principal.salt),
            "principal_digest" => maybe(&facts.principal.digest),
            "roles" => maybe(&facts.roles),
            "peer" => maybe(&facts.peer.value),
            "peer_salt" => maybe(&facts.peer.salt),
            "peer_digest" => maybe(&facts.peer.digest),
            "action" => one(&facts.action),
            "resource" => one(&facts.resource),
            "subject" => maybe(&facts.subject.value),
            "subject_salt" => maybe(&facts.subject.salt),
            "subject_digest" => maybe(&facts.subject.digest),
            "tables" => maybe(&facts.tables),
            "rows_in" => Cell::Number(facts.rows_in),
            "rows_out" => Cell::Number(facts.rows_out),
            "bytes_out" => Cell::Number(facts.bytes_out),
            "times" => Cell::Number(Some(facts.times)),
            "outcome" => one(&facts.outcome),
            "code" => maybe(&facts.code),
            "duration_ms" => Cell::Number(facts.duration_ms),
            "statement" => maybe(&facts.statement.value),
            "statement_salt" => maybe(&facts.statement.salt),
            "statement_digest" => maybe(&facts.statement.digest),
            "previous" => one(&self.previous),
            "hash" => one(&self.hash),
            _ => Cell::Text(None),
        }
    }
}

/// The table as tables of a pipeline are declared.
pub fn declared() -> Declared {
    let columns = SPECS.iter().map(|spec| {
        let data_type = if spec.number { DataType::Int64 } else { DataType::Utf8 };
        Column::new(spec.name, data_type, spec.class)
    });
    Declared {
        name: AUDIT_TABLE.to_owned(),
        description: Some("Who did what, when, with which rows, and how it ended.".to_owned()),
        zone: Zone::System,
        columns: columns.collect(),
        sources: Vec::new(),
        clustered_by: vec!["at".to_owned()],
        belongs: Belongs::default(),
    }
}

/// The columns as the lake stores them. Statistics are kept only of those that name nobody and
/// that records are looked for by: what is in the log outlives a redaction.
pub(super) fn stored() -> Columns {
    let fields: Vec<_> = declared().columns.iter().map(Column::field).collect();
    let unindexed = SPECS.iter().filter(|spec| !spec.indexed);
    Columns {
        txn_retention: None,
        schema: Arc::new(Schema::new(fields)),
        without_statistics: unindexed.map(|spec| spec.name.to_owned()).collect(),
    }
}
