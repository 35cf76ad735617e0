//! How far derived tables are behind their sources.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use super::Metrics;
use super::family::Book;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    table: String,
}

#[derive(Debug)]
pub(super) struct LagFamilies {
    seconds: Family<Labels, Gauge<f64, AtomicU64>>,
    versions: Family<Labels, Gauge>,
}

impl LagFamilies {
    pub fn register(book: &mut Book) -> Self {
        let families = Self { seconds: Family::default(), versions: Family::default() };
        book.seconds(
            "promotion_lag",
            "Age of the oldest change of a source that is not in the table",
            &families.seconds,
        );
        book.gauge(
            "promotion_lag_versions",
            "Versions of sources that are not in the table",
            &families.versions,
        );
        families
    }
}

impl Metrics {
    /// A derived table is so far behind.
    pub fn promotion_lag(&self, table: &str, seconds: f64, versions: u64) {
        let labels = Labels { table: table.to_owned() };
        self.families.lag.seconds.get_or_create(&labels).set(seconds);
        let versions = i64::try_from(versions).unwrap_or(i64::MAX);
        self.families.lag.versions.get_or_create(&labels).set(versions);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_is_what_it_was_last() {
        let metrics = Metrics::new();
        metrics.promotion_lag("a", 9.0, 9);
        metrics.promotion_lag("a", 1.5, 2);
        let text = metrics.text();
        for line in [
            r#"stedi_promotion_lag_seconds{table="a"} 1.5"#,
            r#"stedi_promotion_lag_versions{table="a"} 2"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
