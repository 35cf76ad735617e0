//! What the server counts and measures, for Prometheus. `docs/metrics.md` describes every name.

mod deny;
mod edge;
mod family;
mod lag;
mod lake;
mod maintenance;
mod statement;
mod store;

use std::sync::Arc;

use prometheus_client::metrics::gauge::Gauge;

use deny::DenyFamilies;
use edge::EdgeFamilies;
use family::Book;
use lag::LagFamilies;
use lake::LakeFamilies;
use maintenance::MaintenanceFamilies;
use statement::StatementFamilies;
use store::StoreFamilies;

pub use edge::Request;
pub use lake::Usage;
pub use statement::Outcome;
pub use store::StoreOutcome;

/// The media type of [`Metrics::text`] (OpenMetrics 1.0).
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics of one server; clones are cheap and count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    families: Arc<Families>,
}

#[derive(Debug)]
struct Families {
    book: Book,
    edge: EdgeFamilies,
    statement: StatementFamilies,
    lake: LakeFamilies,
    maintenance: MaintenanceFamilies,
    deny: DenyFamilies,
    store: StoreFamilies,
    lag: LagFamilies,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Metrics of which nothing is counted yet.
    pub fn new() -> Self {
        let mut book = Book::new();
        let edge = EdgeFamilies::register(&mut book);
        let statement = StatementFamilies::register(&mut book);
        let lake = LakeFamilies::register(&mut book);
        let maintenance = MaintenanceFamilies::register(&mut book);
        let deny = DenyFamilies::register(&mut book);
        let store = StoreFamilies::register(&mut book);
        let lag = LagFamilies::register(&mut book);
        let families = Families { book, edge, statement, lake, maintenance, deny, store, lag };
        Self { families: Arc::new(families) }
    }

    /// All of them in the text format of OpenMetrics.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.families.book.registry);
        text
    }

    /// The names of all of them. [`Metrics::text`] leaves out those of which nothing is counted yet.
    pub fn names(&self) -> &[String] {
        &self.families.book.names
    }
}

/// Something that is going on: counted from the moment it is made until it is dropped.
#[derive(Debug)]
#[must_use = "it is counted only as long as this lives"]
pub struct GoingOn(Gauge);

impl GoingOn {
    fn begin(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for GoingOn {
    fn drop(&mut self) {
        self.0.dec();
    }
}
