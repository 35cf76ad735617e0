//! Maintenance: what was done, and for how long.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use stedi_openapi::{MaintainedState, MaintainedTable};

use super::Metrics;
use super::family::{Book, Counters, Durations, durations};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    table: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TableLabels {
    table: String,
}

#[derive(Debug)]
pub(super) struct MaintenanceFamilies {
    tables: Durations<Labels>,
    checkpoints: Counters<TableLabels>,
    rewritten: Counter,
    files: Counter,
    bytes: Counter,
    commits: Counter,
}

impl MaintenanceFamilies {
    pub fn register(book: &mut Book) -> Self {
        let families = Self {
            tables: durations(),
            checkpoints: Counters::default(),
            rewritten: Counter::default(),
            files: Counter::default(),
            bytes: Counter::default(),
            commits: Counter::default(),
        };
        book.seconds("maintenance_table", "Time to maintain a table", &families.tables);
        book.counter("checkpoints", "Checkpoints written", &families.checkpoints);
        book.byte_counter("compacted", "Files that were rewritten as fewer", &families.rewritten);
        book.counter("files_removed", "Unreferenced files removed", &families.files);
        book.byte_counter("files_removed", "Their bytes", &families.bytes);
        book.counter("commits_removed", "Commits removed from logs", &families.commits);
        families
    }
}

impl Metrics {
    /// A table was maintained.
    pub fn maintained(&self, report: &MaintainedTable, time: Duration) {
        let families = &self.families.maintenance;
        let outcome = match report.state {
            MaintainedState::Failed => "failed",
            MaintainedState::Done if report.changed() => "done",
            MaintainedState::Done => "nothing",
            MaintainedState::Queued | MaintainedState::Running | MaintainedState::Skipped => {
                "skipped"
            }
        };
        let labels = Labels { table: report.table.clone(), outcome };
        families.tables.get_or_create(&labels).observe(time.as_secs_f64());
        if report.checkpoint.is_some() {
            let labels = TableLabels { table: report.table.clone() };
            families.checkpoints.get_or_create(&labels).inc();
        }
        families.rewritten.inc_by(report.bytes_before);
        families.files.inc_by(report.files_removed);
        families.bytes.inc_by(report.bytes_removed);
        families.commits.inc_by(report.commits_removed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_counted() {
        let metrics = Metrics::new();
        let nothing =
            MaintainedTable { state: MaintainedState::Done, ..MaintainedTable::queued("a") };
        let much = MaintainedTable {
            checkpoint: Some(7),
            files_before: 9,
            bytes_before: 900,
            files_removed: 3,
            bytes_removed: 30,
            commits_removed: 5,
            ..nothing.clone()
        };
        let failed = MaintainedTable { state: MaintainedState::Failed, ..nothing.clone() };
        for report in [nothing, much, failed] {
            metrics.maintained(&report, Duration::from_secs(1));
        }
        let text = metrics.text();
        for line in [
            r#"stedi_maintenance_table_seconds_count{table="a",outcome="nothing"} 1"#,
            r#"stedi_maintenance_table_seconds_count{table="a",outcome="done"} 1"#,
            r#"stedi_maintenance_table_seconds_count{table="a",outcome="failed"} 1"#,
            r#"stedi_checkpoints_total{table="a"} 1"#,
            "stedi_compacted_bytes_total 900",
            "stedi_files_removed_total 3",
            "stedi_files_removed_bytes_total 30",
            "stedi_commits_removed_total 5",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
