//! Families of counters and histograms.

use std::hash::Hash;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

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
