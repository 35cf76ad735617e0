//! Calls of the object store.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;

use super::Metrics;
use super::family::{Book, Durations, durations};

/// How a call of the store ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreOutcome {
    /// As it should.
    Ok,
    /// There is no such object.
    NotFound,
    /// A conditional write found that another one was first; commits rely on it.
    Conflict,
    /// What was asked for has not changed.
    NotModified,
    /// In no other way than failing.
    Error,
}

impl StoreOutcome {
    const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::NotModified => "not_modified",
            Self::Error => "error",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    operation: &'static str,
    outcome: &'static str,
}

#[derive(Debug)]
pub(super) struct StoreFamilies {
    calls: Durations<Labels>,
}

impl StoreFamilies {
    pub fn register(book: &mut Book) -> Self {
        let families = Self { calls: durations() };
        book.seconds("store_request", "Calls of the object store", &families.calls);
        families
    }
}

impl Metrics {
    /// The store was called. `operation` is a word of the code's: `get`, `put`, `list` …
    pub fn store_called(&self, operation: &'static str, outcome: StoreOutcome, time: Duration) {
        let labels = Labels { operation, outcome: outcome.name() };
        self.families.store.calls.get_or_create(&labels).observe(time.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_what_became_of_them() {
        let metrics = Metrics::new();
        metrics.store_called("put", StoreOutcome::Conflict, Duration::from_millis(20));
        metrics.store_called("put", StoreOutcome::Conflict, Duration::from_secs(2));
        let text = metrics.text();
        for line in [
            r#"stedi_store_request_seconds_count{operation="put",outcome="conflict"} 2"#,
            r#"stedi_store_request_seconds_bucket{le="0.025",operation="put",outcome="conflict"} 1"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
