//! `VERSION AS OF` and `TIMESTAMP AS OF`: which version of a table a moment means.

use std::fmt;

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, Utc};
use deltalake::datafusion::sql::sqlparser::ast::{
    DataType, Expr, TableVersion, TypedString, UnaryOperator, Value,
};

use super::error::QueryError;
use super::parameters::Parameters;
use crate::lake::{Lake, Table};

/// A moment of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// A Delta version.
    Version(u64),
    /// The newest version at a time, in epoch milliseconds.
    Time(i64),
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(f, "VERSION AS OF {version}"),
            Self::Time(millis) => write!(f, "TIMESTAMP AS OF {}", written(*millis)),
        }
    }
}

impl Moment {
    /// The moment of a clause. A version is a whole number. A time is a string (RFC 3339, or a
    /// date, or a date and time, both in UTC) or a whole number of epoch milliseconds.
    pub(super) fn parse(
        version: TableVersion,
        parameters: &Parameters,
    ) -> Result<Self, QueryError> {
        match version {
            TableVersion::VersionAsOf(expr) => {
                let number = match constant(expr, parameters)? {
                    Constant::Number(digits) => digits.parse().ok(),
                    Constant::Text(_) => None,
                };
                number.map(Self::Version).ok_or_else(|| {
                    QueryError::Moment("VERSION AS OF takes a whole number".to_owned())
                })
            }
            TableVersion::TimestampAsOf(expr) => {
                let millis = match constant(expr, parameters)? {
                    Constant::Number(digits) => digits.parse().ok(),
                    Constant::Text(text) => time(&text),
                };
                millis.map(Self::Time).ok_or_else(|| {
                    QueryError::Moment(
                        "TIMESTAMP AS OF takes a time such as '2026-01-31T12:00:00Z', a date, or \
                         epoch milliseconds"
                            .to_owned(),
                    )
                })
            }
            _ => Err(QueryError::Unsupported(
                "this clause after a table (VERSION AS OF and TIMESTAMP AS OF are)".to_owned(),
            )),
        }
    }

    /// The table at this moment; `known` is what is known of it, which may be a moment old.
    ///
    /// # Errors
    /// [`QueryError::NoSuchVersion`] says which versions or times there are, [`QueryError::Purged`]
    /// that they were removed for good.
    pub(super) async fn of(
        self,
        lake: &Lake,
        folder: &str,
        known: &Table,
    ) -> Result<Table, QueryError> {
        // Another server may have made the version that is asked for, or one before that time.
        let newest = match self {
            Self::Version(version) if version <= known.version() => Some(known.clone()),
            _ => lake.current(folder, known.name()).await?,
        };
        let unknown = || QueryError::UnknownTable(known.name().to_owned());
        let newest = &newest.ok_or_else(unknown)?;
        let none = |there: String| QueryError::NoSuchVersion {
            table: newest.name().to_owned(),
            asked: self.to_string(),
            there,
        };
        // What is purged is not read from the moment on that this is said, whatever is still there.
        let purged = match self {
            Self::Version(version) if version == newest.version() => None,
            _ => lake.purged(newest.name()).await?,
        };
        let gone = |version: u64| {
            let purged = purged.as_ref().filter(|purged| version < purged.version)?;
            Some(QueryError::Purged {
                table: newest.name().to_owned(),
                asked: self.to_string(),
                version: purged.version,
                reason: purged.reason.clone(),
            })
        };
        let version = match self {
            Self::Version(version) if version > newest.version() => {
                return Err(none(format!("its newest version is {}", newest.version())));
            }
            Self::Version(version) => version,
            Self::Time(millis) => {
                let now = Utc::now().timestamp_millis();
                if millis > now {
                    return Err(none(format!("it is {} now", written(now))));
                }
                let commits = newest.readable().await?;
                let at = commits.partition_point(|commit| commit.millis <= millis);
                match at.checked_sub(1).and_then(|last| commits.get(last)) {
                    // Somebody may have committed since the newest version was read.
                    Some(commit) => commit.version.min(newest.version()),
                    None => {
                        if let Some(purged) = gone(0) {
                            return Err(purged);
                        }
                        let first = commits.first().map(|commit| written(commit.millis));
                        let first = first.unwrap_or_else(|| "not known".to_owned());
                        return Err(none(format!("its history begins at {first}")));
                    }
                }
            }
        };
        if let Some(purged) = gone(version) {
            return Err(purged);
        }
        match lake.past(folder, newest, version).await {
            Ok(table) => Ok(table),
            Err(error) => {
                // The log may have been cleaned up to here.
                let readable = newest.readable().await?;
                let oldest = readable.first().map_or(newest.version(), |commit| commit.version);
                match version < oldest {
                    true => Err(none(format!("its history begins with version {oldest}"))),
                    false => Err(error.into()),
                }
            }
        }
    }
}

enum Constant {
    Number(String),
    Text(String),
}

fn constant(expr: Expr, parameters: &Parameters) -> Result<Constant, QueryError> {
    let not_constant = || {
        QueryError::Moment(
            "VERSION AS OF and TIMESTAMP AS OF take a constant or a parameter".to_owned(),
        )
    };
    match expr {
        Expr::Value(value) => match value.value {
            Value::Placeholder(name) => match parameters.value(&name)? {
                Expr::Value(value) => match value.value {
                    Value::Number(digits, _) => Ok(Constant::Number(digits)),
                    Value::SingleQuotedString(text) => Ok(Constant::Text(text)),
                    _ => Err(not_constant()),
                },
                _ => Err(not_constant()),
            },
            Value::Number(digits, _) => Ok(Constant::Number(digits)),
            Value::SingleQuotedString(text) => Ok(Constant::Text(text)),
            _ => Err(not_constant()),
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match constant(*expr, parameters)? {
            Constant::Number(digits) => Ok(Constant::Number(format!("-{digits}"))),
            Constant::Text(_) => Err(not_constant()),
        },
        Expr::TypedString(TypedString {
            data_type: DataType::Timestamp(..) | DataType::Date,
            value,
            ..
        }) => match value.value {
            Value::SingleQuotedString(text) => Ok(Constant::Text(text)),
            _ => Err(not_constant()),
        },
        _ => Err(not_constant()),
    }
}

fn time(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_millis());
    }
    for format in ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M"] {
        if let Ok(time) = NaiveDateTime::parse_from_str(text, format) {
            return Some(time.and_utc().timestamp_millis());
        }
    }
    if let Ok(time) = DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%:z") {
        return Some(time.timestamp_millis());
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(date.and_hms_opt(0, 0, 0)?.and_utc().timestamp_millis())
}

fn written(millis: i64) -> String {
    DateTime::from_timestamp_millis(millis)
        .map(|time| time.to_rfc3339_opts(SecondsFormat::Millis, true))
        .unwrap_or_else(|| millis.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_many_forms() {
        let expected = Some(1_706_702_400_000);
        for text in [
            "2024-01-31T12:00:00Z",
            "2024-01-31T13:00:00+01:00",
            "2024-01-31 12:00:00",
            "2024-01-31 12:00",
            "2024-01-31 12:00:00.000",
            "2024-01-31T12:00:00",
            "2024-01-31 13:00:00+01:00",
        ] {
            assert_eq!(time(text), expected, "{text}");
        }
        assert_eq!(time("2024-01-31"), Some(1_706_659_200_000));
        for text in ["", "yesterday", "2024-13-01", "12:00", "1706702400000", "2024-01-31Z"] {
            assert_eq!(time(text), None, "{text}");
        }
    }
}
