//! Moments as answers spell them.

use chrono::{DateTime, SecondsFormat};

/// Epoch milliseconds in RFC 3339, in UTC; empty where no calendar has that moment.
pub(super) fn rfc3339(millis: i64) -> String {
    let moment = DateTime::from_timestamp_millis(millis);
    moment.map(|moment| moment.to_rfc3339_opts(SecondsFormat::Millis, true)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_utc_with_milliseconds() {
        assert_eq!(rfc3339(1_655_564_444_103), "2022-06-18T15:00:44.103Z");
        assert_eq!(rfc3339(i64::MAX), "");
    }
}
