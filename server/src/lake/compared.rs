//! Whether files may hold rows with a value that is less than another, the same, or greater, by what the
//! log says of them.

use deltalake::arrow::datatypes::DataType;
use serde_json::Value;

use super::files::{DataFile, DataFiles};

/// How a column's value compares with another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// It is less.
    Less,
    /// It is less, or the same.
    AtMost,
    /// It is the same.
    Equal,
    /// It is greater, or the same.
    AtLeast,
    /// It is greater.
    Greater,
}

impl Compared {
    /// The same with both sides in each other's place.
    pub fn turned(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::AtMost => Self::AtLeast,
            Self::Equal => Self::Equal,
            Self::AtLeast => Self::AtMost,
            Self::Greater => Self::Less,
        }
    }

    /// Whether a value between two bounds may compare so.
    fn may<T: PartialOrd>(self, (min, max): (T, T), value: &T) -> bool {
        match self {
            Self::Less => min < *value,
            Self::AtMost => min <= *value,
            Self::Equal => min <= *value && *value <= max,
            Self::AtLeast => max >= *value,
            Self::Greater => max > *value,
        }
    }
}

impl DataFiles {
    /// Whether one of them may hold a row whose value in a column compares so with a value, which is
    /// written as text. What the log does not say may be anything.
    pub fn may_compare(&self, column: &str, how: Compared, value: &str) -> bool {
        let Some(kind) = self.column(column) else { return true };
        self.iter().any(|file| may_compare(file, (column, kind), how, value).unwrap_or(true))
    }
}

fn may_compare(
    file: &DataFile,
    (column, kind): (&str, &DataType),
    how: Compared,
    value: &str,
) -> Option<bool> {
    let (min, max) = file.least_and_greatest(column)?;
    match kind {
        DataType::Int64 => Some(how.may((min.as_i64()?, max.as_i64()?), &value.parse().ok()?)),
        DataType::Utf8 => Some(how.may((min.as_str()?, max.as_str()?), &value)),
        // Bounds leave out NaN, which is greater than every number for some.
        DataType::Float64 if matches!(how, Compared::AtLeast | Compared::Greater) => None,
        DataType::Float64 => Some(how.may((min.as_f64()?, max.as_f64()?), &value.parse().ok()?)),
        _ => None,
    }
}

impl DataFile {
    fn least_and_greatest(&self, column: &str) -> Option<(Value, Value)> {
        let mut stats = self.parsed();
        Some((stats.min_values.remove(column)?, stats.max_values.remove(column)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_decide() {
        let file = |stats: &str| DataFile {
            name: String::new(),
            size: 0,
            stats: Some(format!(r#"{{"numRecords":3,{stats}}}"#)),
        };
        let some = file(
            r#""minValues":{"n":-5,"x":0.5,"t":"b"},"maxValues":{"n":9007199254740993,"x":2.5,"t":"d"}"#,
        );
        let (long, double) = (("n", &DataType::Int64), ("x", &DataType::Float64));
        let text = ("t", &DataType::Utf8);
        use Compared::*;
        for (column, how, value, expected) in [
            (long, Less, "-5", Some(false)),
            (long, AtMost, "-5", Some(true)),
            (long, Equal, "9007199254740993", Some(true)),
            (long, Equal, "9007199254740994", Some(false)),
            (long, Greater, "9007199254740992", Some(true)),
            (long, Greater, "9007199254740993", Some(false)),
            (long, AtLeast, "9007199254740993", Some(true)),
            (long, Equal, "5.0", None),
            (double, Equal, "0.4", Some(false)),
            (double, Less, "0.5", Some(false)),
            (double, AtMost, "0.5", Some(true)),
            (double, Greater, "100", None),
            (double, Equal, "NaN", Some(false)),
            (text, Equal, "c", Some(true)),
            (text, Equal, "e", Some(false)),
            (text, Less, "b", Some(false)),
            (text, AtLeast, "da", Some(false)),
            (("u", &DataType::Int64), Equal, "1", None),
            (("n", &DataType::Boolean), Equal, "1", None),
        ] {
            assert_eq!(
                may_compare(&some, column, how, value),
                expected,
                "{column:?} {how:?} {value}"
            );
            let turned = how.turned().turned();
            assert_eq!(turned, how);
        }
        let nothing = DataFile { name: String::new(), size: 0, stats: None };
        assert_eq!(may_compare(&nothing, long, Equal, "1"), None);
    }
}
