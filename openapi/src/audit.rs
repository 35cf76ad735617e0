//! The answers of `/v1/audit`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// `GET /v1/audit`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditPage {
    /// Records, newest first.
    pub records: Vec<AuditRecord>,
    /// Where there are more: the value of `after` that asks for them.
    pub next: Option<String>,
}

/// Who did what, when, with which rows, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditRecord {
    /// UUIDv7; the order of ids is that in which the actions began.
    pub id: String,
    /// When it began, in milliseconds since 1970.
    pub at: i64,
    /// The server's chain that the record is in.
    pub chain: String,
    /// Its place in that chain; the first is 1.
    pub seq: i64,
    /// The record's hash, which the next one of the chain repeats.
    pub hash: String,
    /// The id of the request.
    pub request_id: Option<String>,
    /// The token's `sub`; `null` without a valid token.
    pub principal: Option<String>,
    /// The token's roles, with a comma between two.
    pub roles: Option<String>,
    /// The address that the request came from.
    pub peer: Option<String>,
    /// `sql`, `statement`, `result`, `load`, `promotion`, `maintenance`, `denied` or `audit`.
    pub action: String,
    /// The route's method and template, or the command.
    pub resource: String,
    /// The pseudonym of the customer that it was about.
    pub subject: Option<String>,
    /// The tables that were read or changed, with their versions where they are known.
    pub tables: BTreeMap<String, Option<u64>>,
    /// Rows that came in.
    pub rows_in: Option<i64>,
    /// Rows that went out.
    pub rows_out: Option<i64>,
    /// Bytes that went out.
    pub bytes_out: Option<i64>,
    /// How many like it the record stands for.
    pub times: i64,
    /// `ok`, `failed`, `cancelled`, `denied`, or `interrupted` where the server ended first.
    pub outcome: String,
    /// The stable word of its error.
    pub code: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<i64>,
    /// The statement; its literals and parameters are keyed hashes.
    pub statement: Option<String>,
    /// Fields that an erasure has redacted.
    pub redacted: Vec<String>,
}

/// `GET /v1/audit/verify`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditReport {
    /// Nothing is wrong.
    pub ok: bool,
    /// The version of the table that was walked.
    pub version: u64,
    /// Every chain; each server writes one.
    pub chains: Vec<AuditChain>,
    /// Lines of the answering server's journal that could not be read.
    pub journal: Vec<AuditJournalFault>,
}

/// A chain of records, each of which covers the hash of the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditChain {
    /// The chain.
    pub chain: String,
    /// No record was changed, removed, added or moved.
    pub ok: bool,
    /// Its records.
    pub records: u64,
    /// Fields of them that were redacted.
    pub redacted: u64,
    /// The place of its newest record.
    pub seq: i64,
    /// The hash of its newest record.
    pub hash: String,
    /// The first break.
    #[serde(rename = "break")]
    pub broken: Option<AuditBreak>,
}

/// Where a chain breaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditBreak {
    /// The place.
    pub seq: i64,
    /// What is wrong there.
    pub reason: String,
}

/// A line of a journal that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditJournalFault {
    /// The chain.
    pub chain: String,
    /// The file that was kept.
    pub file: String,
    /// The line; the first is 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// Which records `GET /v1/audit` gives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    /// Not before this time: RFC 3339, or milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(example = "2026-01-31T12:00:00Z")]
    pub from: Option<String>,
    /// Before this time: RFC 3339, or milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Of this principal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// About this subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Of this kind: `sql`, `statement`, `result`, `load`, `promotion`, `maintenance`, `denied` or `audit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(example = "sql")]
    pub action: Option<String>,
    /// That ended so: `ok`, `failed`, `cancelled`, `denied` or `interrupted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// With this table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Behind these: the `next` of a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Records of a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 1000, example = 100)]
    pub limit: Option<usize>,
}
