//! Statements and their results.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::gauge::Gauge;

use super::family::{Book, Counters, Durations, durations};
use super::{GoingOn, Metrics};
use crate::auth::Role;

/// How a statement ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All of its result was handed over.
    Succeeded,
    /// It was not run: not one SELECT, not planned, not allowed.
    Refused,
    /// It broke off while it ran.
    Failed,
    /// It was ended at its time limit.
    TimedOut,
    /// It was ended at a limit of rows, bytes or memory.
    Limited,
    /// Who asked went away or cancelled it.
    Cancelled,
}

impl Outcome {
    const fn name(self) -> &'static str {
        match self {
            Outcome::Succeeded => "succeeded",
            Outcome::Refused => "refused",
            Outcome::Failed => "failed",
            Outcome::TimedOut => "timed_out",
            Outcome::Limited => "limited",
            Outcome::Cancelled => "cancelled",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatementLabels {
    role: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FormatLabels {
    format: &'static str,
}

#[derive(Debug)]
pub(super) struct StatementFamilies {
    durations: Durations<StatementLabels>,
    running: Gauge,
    queued: Gauge,
    rows: Counters<FormatLabels>,
    bytes: Counters<FormatLabels>,
}

impl StatementFamilies {
    pub fn register(book: &mut Book) -> Self {
        let families = Self {
            durations: durations(),
            running: Gauge::default(),
            queued: Gauge::default(),
            rows: Counters::default(),
            bytes: Counters::default(),
        };
        book.seconds(
            "statement",
            "From a statement's arrival to the end of its result",
            &families.durations,
        );
        book.gauge("statements_running", "Statements that run", &families.running);
        book.gauge("statements_queued", "Statements that wait for their turn", &families.queued);
        book.counter("result_rows", "Rows handed over in results", &families.rows);
        book.byte_counter(
            "result",
            "Bytes of results, before compression by the edge",
            &families.bytes,
        );
        families
    }
}

impl Metrics {
    /// A statement ended.
    pub fn statement(&self, role: Role, outcome: Outcome, elapsed: Duration) {
        let labels = StatementLabels { role: role.name(), outcome: outcome.name() };
        let durations = &self.families.statement.durations;
        durations.get_or_create(&labels).observe(elapsed.as_secs_f64());
    }

    /// A statement runs.
    pub fn statement_runs(&self) -> GoingOn {
        GoingOn::begin(&self.families.statement.running)
    }

    /// A statement waits for its turn.
    pub fn statement_waits(&self) -> GoingOn {
        GoingOn::begin(&self.families.statement.queued)
    }

    /// Rows and bytes were handed over. `format` is the format's own word: `json`, `csv`, `arrow` …
    pub fn result(&self, format: &'static str, rows: u64, bytes: u64) {
        let families = &self.families.statement;
        let labels = FormatLabels { format };
        families.rows.get_or_create(&labels).inc_by(rows);
        families.bytes.get_or_create(&labels).inc_by(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_and_results() {
        let metrics = Metrics::new();
        metrics.statement(Role::Analyst, Outcome::Succeeded, Duration::from_millis(20));
        metrics.statement(Role::Analyst, Outcome::TimedOut, Duration::from_secs(1000));
        metrics.result("csv", 7, 700);
        metrics.result("csv", 1, 11);
        let running = metrics.statement_runs();
        let waiting = (metrics.statement_waits(), metrics.statement_waits());
        drop(waiting.0);
        let text = metrics.text();
        for line in [
            r#"stedi_statement_seconds_count{role="analyst",outcome="succeeded"} 1"#,
            r#"stedi_statement_seconds_bucket{le="0.025",role="analyst",outcome="succeeded"} 1"#,
            r#"stedi_statement_seconds_bucket{le="300.0",role="analyst",outcome="timed_out"} 0"#,
            r#"stedi_statement_seconds_bucket{le="+Inf",role="analyst",outcome="timed_out"} 1"#,
            "stedi_statements_running 1",
            "stedi_statements_queued 1",
            r#"stedi_result_rows_total{format="csv"} 8"#,
            r#"stedi_result_bytes_total{format="csv"} 711"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        drop(running);
        assert!(metrics.text().contains("stedi_statements_running 0\n"));
    }
}
