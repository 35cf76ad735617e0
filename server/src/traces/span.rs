//! A span, and what of it may leave.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tracing::field::{Field, Visit};

use super::parent::Parent;

/// The fields of spans and of events in them that become attributes, and the attributes' names; nothing
/// else leaves. Where OpenTelemetry has a name for it, it is that.
pub(super) const ATTRIBUTES: [(&str, &str); 20] = [
    ("method", "http.request.method"),
    ("route", "http.route"),
    ("status", "http.response.status_code"),
    ("bytes", "http.response.body.size"),
    ("code", "error.type"),
    ("request_id", "stedi.request_id"),
    ("run_id", "stedi.run_id"),
    ("ordered", "stedi.ordered_run_id"),
    ("kind", "stedi.run.kind"),
    ("state", "stedi.run.state"),
    ("attempts", "stedi.run.attempts"),
    ("roles", "stedi.roles"),
    ("complete", "stedi.complete"),
    ("table", "stedi.table"),
    ("mode", "stedi.promotion.mode"),
    ("version", "stedi.table.version"),
    ("rows_inserted", "stedi.rows_inserted"),
    ("rows_deleted", "stedi.rows_deleted"),
    ("accepted", "stedi.accepted"),
    ("rejected", "stedi.rejected"),
];
/// The field that holds the header of a request.
const PARENT: &str = "traceparent";
/// What began with a request that somebody made, and what the server did by itself or for it
/// (`SpanKind`).
const SERVER: u8 = 2;
const INTERNAL: u8 = 1;
/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;

/// What is known of a span that is told.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub trace: u128,
    pub id: u64,
    pub parent: Option<u64>,
    name: &'static str,
    started: u64,
    ended: u64,
    pub seen: Seen,
    pub failed: bool,
}

/// Fields that were seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    attributes: BTreeMap<&'static str, Value>,
    pub from: Option<Parent>,
}

impl Span {
    pub fn begin(
        name: &'static str,
        trace: u128,
        id: u64,
        parent: Option<u64>,
        seen: Seen,
    ) -> Self {
        let started = now();
        Self { trace, id, parent, name, started, ended: started, seen, failed: false }
    }

    pub fn end(&mut self) {
        self.ended = now().max(self.started);
    }

    /// As OTLP has it.
    pub fn json(&self) -> Value {
        let attributes = &self.seen.attributes;
        let failed = self.failed
            || attributes.get("http.response.status_code").and_then(Value::as_u64) >= Some(500);
        let is_request = attributes.contains_key("http.request.method");
        // A request is known by what was asked, as OpenTelemetry names such spans.
        let asked = |name: &str| attributes.get(name).and_then(Value::as_str);
        let name = match (asked("http.request.method"), asked("http.route")) {
            (Some(method), Some(route)) => format!("{method} {route}"),
            _ => self.name.to_owned(),
        };
        let attributes: Vec<Value> = attributes
            .iter()
            .map(|(key, value)| json!({ "key": key, "value": typed(value) }))
            .collect();
        let mut span = json!({
            "traceId": format!("{:032x}", self.trace),
            "spanId": format!("{:016x}", self.id),
            "name": name,
            "kind": if is_request { SERVER } else { INTERNAL },
            // Numbers of 64 bits are texts in the JSON of protobuf.
            "startTimeUnixNano": self.started.to_string(),
            "endTimeUnixNano": self.ended.to_string(),
            "attributes": attributes,
            "status": if failed { json!({ "code": ERROR }) } else { json!({}) },
        });
        if let Some(parent) = self.parent {
            span["parentSpanId"] = Value::String(format!("{parent:016x}"));
        }
        span
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn typed(value: &Value) -> Value {
    match value {
        Value::Bool(value) => json!({ "boolValue": value }),
        Value::Number(value) => json!({ "intValue": value.to_string() }),
        Value::String(value) => json!({ "stringValue": value }),
        other => json!({ "stringValue": other.to_string() }),
    }
}

impl Seen {
    fn take(&mut self, field: &Field, value: Value) {
        let found = ATTRIBUTES.iter().find(|(name, _)| *name == field.name());
        if let Some((_, attribute)) = found {
            self.attributes.insert(attribute, value);
        }
    }

    /// Takes what was seen later; where the span comes from is known at its beginning.
    pub fn extend(&mut self, later: Seen) {
        self.attributes.extend(later.attributes);
    }
}

impl Visit for Seen {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            PARENT => self.from = Parent::parse(value),
            _ => self.take(field, Value::String(value.to_owned())),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.take(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.take(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.take(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // What is displayed (`%`) comes here too.
        self.take(field, Value::String(format!("{value:?}")));
    }
}
