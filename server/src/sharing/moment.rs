//! Moments as the protocol spells them.

use chrono::{DateTime, NaiveDateTime};

use super::error::SharingError;
use crate::query::Moment;

/// Which version of a table somebody asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct When {
    /// A version.
    pub version: Option<u64>,
    /// A time.
    pub timestamp: Option<String>,
}

impl When {
    /// The moment; `None` is now.
    ///
    /// # Errors
    /// [`SharingError::Malformed`] if there are two, or the time is none.
    pub fn moment(&self) -> Result<Option<Moment>, SharingError> {
        match (self.version, &self.timestamp) {
            (Some(_), Some(_)) => {
                Err(SharingError::Malformed("version or timestamp, not both".to_owned()))
            }
            (Some(version), None) => Ok(Some(Moment::Version(version))),
            (None, Some(text)) => Ok(Some(Moment::Time(time("timestamp", text)?))),
            (None, None) => Ok(None),
        }
    }
}

/// A time in epoch milliseconds: RFC 3339, or a date and a time in UTC.
pub(super) fn time(name: &str, text: &str) -> Result<i64, SharingError> {
    let text = text.trim();
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.timestamp_millis());
    }
    let plain = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f");
    plain.map(|time| time.and_utc().timestamp_millis()).map_err(|_| {
        let form = "a time such as 2026-01-31T12:00:00Z or 2026-01-31 12:00:00";
        SharingError::Malformed(format!("{name} is {form}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_utc() {
        for text in [
            "2024-01-31T12:00:00Z",
            "2024-01-31T13:00:00+01:00",
            "2024-01-31 12:00:00",
            "2024-1-31 12:0:0.000",
        ] {
            assert_eq!(time("t", text).unwrap(), 1_706_702_400_000, "{text}");
        }
        for text in ["", "now", "2024-01-31", "1706702400000"] {
            assert!(time("t", text).is_err(), "{text}");
        }
    }

    #[test]
    fn one_moment_at_a_time() {
        let both = When { version: Some(1), timestamp: Some("2024-01-31T12:00:00Z".to_owned()) };
        assert!(both.moment().is_err());
        assert_eq!(When::default().moment().unwrap(), None);
    }
}
