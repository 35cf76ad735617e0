//! The deny list.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::gauge::Gauge;

use super::Metrics;
use super::family::{Book, Counters};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndLabels {
    kind: &'static str,
    state: &'static str,
}

#[derive(Debug)]
pub(super) struct DenyFamilies {
    entries: Gauge,
    reads: Counters<Labels>,
    ended: Counters<EndLabels>,
    open: Gauge,
    overdue: Gauge,
    deadline: Gauge,
}

impl DenyFamilies {
    pub fn register(book: &mut Book) -> Self {
        let families = Self {
            entries: Gauge::default(),
            reads: Counters::default(),
            ended: Counters::default(),
            open: Gauge::default(),
            overdue: Gauge::default(),
            deadline: Gauge::default(),
        };
        book.gauge("deny_entries", "Requests whose rows are denied", &families.entries);
        book.counter("deny_reads", "Looks at the deny list", &families.reads);
        book.counter("revocations", "Revocations and erasures that have ended", &families.ended);
        // Those that page somebody: the first of a series that is not there does not count as an increase.
        for kind in ["revocation", "erasure"] {
            drop(families.ended.get_or_create(&EndLabels { kind, state: "failed" }));
        }
        book.gauge("revocations_open", "Revocations that are not done", &families.open);
        book.gauge(
            "revocations_overdue",
            "Revocations that are not done, though their deadline is over",
            &families.overdue,
        );
        book.seconds(
            "revocations_next_deadline_timestamp",
            "When the first deadline of an open revocation is, as Unix time; 0 for none",
            &families.deadline,
        );
        families
    }
}

impl Metrics {
    /// So many revocations are open, and so many of them overdue; the first deadline of all is that,
    /// in epoch milliseconds.
    pub fn revocations(&self, open: usize, overdue: usize, deadline: Option<i64>) {
        let number = |count| i64::try_from(count).unwrap_or(i64::MAX);
        self.families.deny.open.set(number(open));
        self.families.deny.overdue.set(number(overdue));
        self.families.deny.deadline.set(deadline.map_or(0, |millis| millis / 1000));
    }

    /// A revocation or an erasure has ended.
    pub fn revocation(&self, kind: &'static str, state: &'static str) {
        self.families.deny.ended.get_or_create(&EndLabels { kind, state }).inc();
    }

    /// Revocations that were overdue when it was last counted.
    pub fn overdue(&self) -> u64 {
        self.families.deny.overdue.get().unsigned_abs()
    }

    /// The deny list was looked at.
    pub fn deny_read(&self, well: bool) {
        let outcome = if well { "ok" } else { "failed" };
        self.families.deny.reads.get_or_create(&Labels { outcome }).inc();
    }

    /// So many requests have entries.
    pub fn deny_entries(&self, entries: usize) {
        self.families.deny.entries.set(i64::try_from(entries).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_and_entries_are_counted() {
        let metrics = Metrics::new();
        metrics.deny_read(true);
        metrics.deny_read(false);
        metrics.deny_entries(3);
        metrics.revocation("erasure", "failed");
        let text = metrics.text();
        for line in [
            "stedi_deny_entries 3",
            r#"stedi_deny_reads_total{outcome="ok"} 1"#,
            r#"stedi_deny_reads_total{outcome="failed"} 1"#,
            r#"stedi_revocations_total{kind="erasure",state="failed"} 1"#,
            r#"stedi_revocations_total{kind="revocation",state="failed"} 0"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
