//! Families of counters and histograms, and the book that they are entered in.

use std::hash::Hash;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry, Unit};

/// Counters by label.
pub(super) type Counters<L> = Family<L, Counter>;
/// Histograms of seconds by label.
pub(super) type Durations<L> = Family<L, Histogram>;

/// Upper bounds in seconds: from a health check to a statement that reads everything.
const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0];

/// Histograms with the bounds of this server.
pub(super) fn durations<L: Clone + Hash + Eq + EncodeLabelSet>() -> Durations<L> {
    Durations::new_with_constructor(|| Histogram::new(SECONDS))
}

/// What every name begins with.
const PREFIX: &str = "stedi";

/// The registry, and the names in it as they are served.
#[derive(Debug)]
pub(super) struct Book {
    pub registry: Registry,
    pub names: Vec<String>,
}

impl Book {
    pub fn new() -> Self {
        Self { registry: Registry::with_prefix(PREFIX), names: Vec::new() }
    }

    /// A counter; `_total` is added to its name.
    pub fn counter(&mut self, name: &str, help: &str, metric: &(impl Metric + Clone)) {
        self.names.push(format!("{PREFIX}_{name}_total"));
        self.registry.register(name, help, metric.clone());
    }

    /// A counter of bytes; `_bytes_total` is added to its name.
    pub fn byte_counter(&mut self, name: &str, help: &str, metric: &(impl Metric + Clone)) {
        self.names.push(format!("{PREFIX}_{name}_bytes_total"));
        self.registry.register_with_unit(name, help, Unit::Bytes, metric.clone());
    }

    /// A gauge.
    pub fn gauge(&mut self, name: &str, help: &str, metric: &(impl Metric + Clone)) {
        self.names.push(format!("{PREFIX}_{name}"));
        self.registry.register(name, help, metric.clone());
    }

    /// A gauge of bytes; `_bytes` is added to its name.
    pub fn byte_gauge(&mut self, name: &str, help: &str, metric: &(impl Metric + Clone)) {
        self.names.push(format!("{PREFIX}_{name}_bytes"));
        self.registry.register_with_unit(name, help, Unit::Bytes, metric.clone());
    }

    /// A histogram of durations; `_seconds` is added to its name.
    pub fn seconds(&mut self, name: &str, help: &str, metric: &(impl Metric + Clone)) {
        self.names.push(format!("{PREFIX}_{name}_seconds"));
        self.registry.register_with_unit(name, help, Unit::Seconds, metric.clone());
    }
}
