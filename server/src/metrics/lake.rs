//! The lake: commits, loads, the audit, tables kept open, memory and spill.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use stedi_openapi::LoadResult;

use super::Metrics;
use super::family::{Book, Counters, Durations, durations};

/// What plans use at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of the memory pool that are taken.
    pub memory: usize,
    /// Bytes that the pool has.
    pub memory_limit: usize,
    /// Bytes that are spilled.
    pub spill: u64,
    /// Bytes that may be spilled.
    pub spill_limit: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TableLabels {
    table: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LoadLabels {
    table: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BatchLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RunLabels {
    state: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModeLabels {
    table: String,
    mode: &'static str,
}

#[derive(Debug)]
pub(super) struct LakeFamilies {
    promotions: Counters<RunLabels>,
    promoted: Durations<ModeLabels>,
    commits: Counters<TableLabels>,
    conflicts: Counters<TableLabels>,
    records: Counters<LoadLabels>,
    audit_batches: Counters<BatchLabels>,
    audit_records: Counter,
    cache_hits: Counter,
    cache_misses: Counter,
    memory: Gauge,
    memory_limit: Gauge,
    spill: Gauge,
    spill_limit: Gauge,
}

impl LakeFamilies {
    pub fn register(book: &mut Book) -> Self {
        let families = Self {
            promotions: Counters::default(),
            promoted: durations(),
            commits: Counters::default(),
            conflicts: Counters::default(),
            records: Counters::default(),
            audit_batches: Counters::default(),
            audit_records: Counter::default(),
            cache_hits: Counter::default(),
            cache_misses: Counter::default(),
            memory: Gauge::default(),
            memory_limit: Gauge::default(),
            spill: Gauge::default(),
            spill_limit: Gauge::default(),
        };
        book.counter("promotions", "Promotions that have ended", &families.promotions);
        // The first of a series that is not there does not count as an increase.
        let failed = RunLabels { state: "failed".to_owned() };
        drop(families.promotions.get_or_create(&failed));
        book.seconds("promotion_table", "Time to bring a table up to date", &families.promoted);
        book.counter("commits", "Commits made", &families.commits);
        book.counter(
            "commit_conflicts",
            "Commits that another writer forestalled",
            &families.conflicts,
        );
        book.counter("landing_records", "Records received by loads", &families.records);
        book.counter("audit_batches", "Batches of audit records", &families.audit_batches);
        book.counter(
            "audit_records",
            "Audit records that are in the lake",
            &families.audit_records,
        );
        book.counter(
            "table_cache_hits",
            "Tables that were found open and fresh",
            &families.cache_hits,
        );
        book.counter(
            "table_cache_misses",
            "Tables whose log had to be read",
            &families.cache_misses,
        );
        book.byte_gauge("memory_pool_used", "Memory that plans use", &families.memory);
        book.byte_gauge("memory_pool_limit", "Memory that plans may use", &families.memory_limit);
        book.byte_gauge("spill_used", "Disk that plans have spilled to", &families.spill);
        book.byte_gauge("spill_limit", "Disk that plans may spill to", &families.spill_limit);
        families
    }
}

impl Metrics {
    /// A table was committed to.
    pub fn commit(&self, table: &str) {
        let labels = TableLabels { table: table.to_owned() };
        self.families.lake.commits.get_or_create(&labels).inc();
    }

    /// A commit to a table was not made, because another writer was first.
    pub fn conflict(&self, table: &str) {
        let labels = TableLabels { table: table.to_owned() };
        self.families.lake.conflicts.get_or_create(&labels).inc();
    }

    /// A load was committed.
    pub fn load(&self, result: &LoadResult) {
        for (outcome, count) in [
            ("accepted", result.accepted),
            ("rejected", result.rejected),
            ("duplicate", result.duplicate),
            ("suppressed", result.suppressed),
        ] {
            let labels = LoadLabels { table: result.table.clone(), outcome };
            self.families.lake.records.get_or_create(&labels).inc_by(count);
        }
    }

    /// A promotion has ended in this state.
    pub fn promotion(&self, state: &str) {
        let labels = RunLabels { state: state.to_owned() };
        self.families.lake.promotions.get_or_create(&labels).inc();
    }

    /// A table was brought up to date in this mode.
    pub fn table_promoted(&self, table: &str, mode: &'static str, time: Duration) {
        let labels = ModeLabels { table: table.to_owned(), mode };
        self.families.lake.promoted.get_or_create(&labels).observe(time.as_secs_f64());
    }

    /// A batch of audit records is in the lake.
    pub fn audited(&self, records: u64) {
        let labels = BatchLabels { outcome: "written" };
        self.families.lake.audit_batches.get_or_create(&labels).inc();
        self.families.lake.audit_records.inc_by(records);
    }

    /// A batch of audit records could not be written, and will be tried again.
    pub fn audit_failed(&self) {
        let labels = BatchLabels { outcome: "failed" };
        self.families.lake.audit_batches.get_or_create(&labels).inc();
    }

    /// A table was found open and fresh.
    pub fn table_cache_hit(&self) {
        self.families.lake.cache_hits.inc();
    }

    /// A table's log had to be read.
    pub fn table_cache_miss(&self) {
        self.families.lake.cache_misses.inc();
    }

    /// What plans use now; to be said before [`Metrics::text`].
    pub fn usage(&self, usage: Usage) {
        let families = &self.families.lake;
        families.memory.set(i64::try_from(usage.memory).unwrap_or(i64::MAX));
        families.memory_limit.set(i64::try_from(usage.memory_limit).unwrap_or(i64::MAX));
        families.spill.set(i64::try_from(usage.spill).unwrap_or(i64::MAX));
        families.spill_limit.set(i64::try_from(usage.spill_limit).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn commits_loads_audit_cache_and_usage() {
        let metrics = Metrics::new();
        metrics.commit("a");
        metrics.commit("a");
        metrics.conflict("a");
        metrics.load(&LoadResult {
            table: "a".to_owned(),
            received: 9,
            accepted: 5,
            rejected: 4,
            duplicate: 0,
            suppressed: 0,
            version: 1,
            rejects: Vec::new(),
            revocations: Vec::new(),
            unknown_fields: BTreeMap::new(),
        });
        metrics.promotion("failed");
        metrics.table_promoted("a", "append", Duration::from_millis(20));
        metrics.audited(12);
        metrics.audit_failed();
        metrics.table_cache_hit();
        metrics.table_cache_hit();
        metrics.table_cache_miss();
        metrics.usage(Usage { memory: 1, memory_limit: 20, spill: 300, spill_limit: 4000 });
        let text = metrics.text();
        for line in [
            r#"stedi_commits_total{table="a"} 2"#,
            r#"stedi_commit_conflicts_total{table="a"} 1"#,
            r#"stedi_landing_records_total{table="a",outcome="accepted"} 5"#,
            r#"stedi_landing_records_total{table="a",outcome="rejected"} 4"#,
            r#"stedi_landing_records_total{table="a",outcome="duplicate"} 0"#,
            r#"stedi_promotions_total{state="failed"} 1"#,
            r#"stedi_promotion_table_seconds_count{table="a",mode="append"} 1"#,
            r#"stedi_audit_batches_total{outcome="written"} 1"#,
            r#"stedi_audit_batches_total{outcome="failed"} 1"#,
            "stedi_audit_records_total 12",
            "stedi_table_cache_hits_total 2",
            "stedi_table_cache_misses_total 1",
            "stedi_memory_pool_used_bytes 1",
            "stedi_memory_pool_limit_bytes 20",
            "stedi_spill_used_bytes 300",
            "stedi_spill_limit_bytes 4000",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
