//! One value of a field becomes one value of a column, or a reason why not.

use std::borrow::Cow;

use super::record::Scalar;
use crate::pipeline::Kind;

/// The last millisecond of the year 9999.
const LAST_EPOCH: i64 = 253_402_300_799_999;

/// A value as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Stored<'a> {
    Text(Cow<'a, str>),
    Epoch(i64),
    Double(f64),
}

/// Reads a value; `None` where there is nothing to store. Reasons never repeat the value, which
/// may be personal data.
pub(super) fn read<'a>(kind: Kind, value: &Scalar<'a>) -> Result<Option<Stored<'a>>, String> {
    match kind {
        Kind::Text => text(value),
        Kind::Email => Ok(name(value)?.map(|text| Stored::Text(lower(text)))),
        Kind::Key => Ok(name(value)?.map(Stored::Text)),
        Kind::Epoch => epoch(value).map(|epoch| epoch.map(Stored::Epoch)),
        Kind::Double => double(value).map(|double| double.map(Stored::Double)),
    }
}

fn text<'a>(value: &Scalar<'a>) -> Result<Option<Stored<'a>>, String> {
    Ok(Some(Stored::Text(match value {
        Scalar::Null => return Ok(None),
        Scalar::Text(text) => text.clone(),
        Scalar::Int(number) => Cow::Owned(number.to_string()),
        // {:?} would write 8015551212.0, {} writes 8015551212.
        Scalar::Float(number) => Cow::Owned(number.to_string()),
        Scalar::Bool | Scalar::Nested => {
            return Err(format!("expected a string, got {}", value.kind()));
        }
    })))
}

/// A non-blank string, trimmed.
fn name<'a>(value: &Scalar<'a>) -> Result<Option<Cow<'a, str>>, String> {
    let trimmed = match value {
        Scalar::Null => return Ok(None),
        Scalar::Text(Cow::Borrowed(text)) => Cow::Borrowed(text.trim()),
        Scalar::Text(Cow::Owned(text)) => Cow::Owned(text.trim().to_owned()),
        other => return Err(format!("expected a string, got {}", other.kind())),
    };
    Ok((!trimmed.is_empty()).then_some(trimmed))
}

fn lower(text: Cow<'_, str>) -> Cow<'_, str> {
    match text.chars().all(|letter| letter.is_ascii() && !letter.is_ascii_uppercase()) {
        true => text,
        false => Cow::Owned(text.to_lowercase()),
    }
}

/// 0 and blank strings are how some revisions of the data write that there is no date.
fn epoch(value: &Scalar<'_>) -> Result<Option<i64>, String> {
    let wrong = || "expected whole milliseconds between 1 and 253402300799999".to_owned();
    let millis = match value {
        Scalar::Null | Scalar::Int(0) => return Ok(None),
        Scalar::Int(millis) => *millis,
        Scalar::Float(millis) if *millis == 0.0 => return Ok(None),
        Scalar::Float(millis) if millis.fract() == 0.0 && millis.abs() < 1e15 => *millis as i64,
        Scalar::Float(_) => return Err(wrong()),
        Scalar::Text(text) if text.trim().is_empty() => return Ok(None),
        Scalar::Text(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            match text.parse().map_err(|_| wrong())? {
                0 => return Ok(None),
                millis => millis,
            }
        }
        Scalar::Text(_) => return Err(wrong() + ", got a string that is not digits"),
        Scalar::Bool | Scalar::Nested => return Err(format!("{}, got {}", wrong(), value.kind())),
    };
    match (1..=LAST_EPOCH).contains(&millis) {
        true => Ok(Some(millis)),
        false => Err(wrong()),
    }
}

fn double(value: &Scalar<'_>) -> Result<Option<f64>, String> {
    match value {
        Scalar::Null => Ok(None),
        Scalar::Int(number) => Ok(Some(*number as f64)),
        // Adding 0.0 makes -0.0 the 0.0 that it equals, so that equal rows are equal bytes.
        Scalar::Float(number) if number.is_finite() => Ok(Some(number + 0.0)),
        other => Err(format!("expected a finite number, got {}", other.kind())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> Scalar<'_> {
        Scalar::Text(Cow::Borrowed(text))
    }

    fn stored(text: &str) -> Option<Stored<'_>> {
        Some(Stored::Text(Cow::Borrowed(text)))
    }

    #[test]
    fn epochs() {
        let good = Some(Stored::Epoch(1_655_564_376_361));
        for (value, expected) in [
            (Scalar::Int(1_655_564_376_361), good.clone()),
            (Scalar::Float(1_655_564_376_361.0), good.clone()),
            (string("1655564376361"), good),
            (Scalar::Int(LAST_EPOCH), Some(Stored::Epoch(LAST_EPOCH))),
            (Scalar::Null, None),
            (Scalar::Int(0), None),
            (Scalar::Float(-0.0), None),
            (string("0"), None),
            (string(""), None),
            (string(" "), None),
        ] {
            assert_eq!(read(Kind::Epoch, &value), Ok(expected), "{value:?}");
        }
        for value in [
            Scalar::Int(-1),
            Scalar::Int(LAST_EPOCH + 1),
            Scalar::Float(1.5),
            Scalar::Float(1e300),
            string("1655564376361.0"),
            string("2022-06-18"),
            string("99999999999999999999"),
            Scalar::Bool,
            Scalar::Nested,
        ] {
            assert!(read(Kind::Epoch, &value).is_err(), "{value:?}");
        }
    }

    #[test]
    fn names_are_trimmed_and_emails_lower_cased() {
        assert_eq!(read(Kind::Email, &string(" A@B.c ")), Ok(stored("a@b.c")));
        assert_eq!(read(Kind::Email, &string("É@b.c")), Ok(stored("é@b.c")));
        assert_eq!(read(Kind::Key, &string(" Ab ")), Ok(stored("Ab")));
        assert_eq!(read(Kind::Key, &string(" \t")), Ok(None));
        assert!(read(Kind::Key, &Scalar::Int(5)).is_err());
    }

    #[test]
    fn numbers_and_texts() {
        assert_eq!(read(Kind::Text, &Scalar::Int(8_015_551_212)), Ok(stored("8015551212")));
        assert_eq!(read(Kind::Text, &Scalar::Float(8_015_551_212.0)), Ok(stored("8015551212")));
        assert_eq!(read(Kind::Text, &string(" as is ")), Ok(stored(" as is ")));
        assert!(read(Kind::Text, &Scalar::Nested).is_err());
        let Ok(Some(Stored::Double(zero))) = read(Kind::Double, &Scalar::Float(-0.0)) else {
            panic!("not a double");
        };
        assert!(zero.is_sign_positive());
        assert!(read(Kind::Double, &string("1.0")).is_err());
        assert!(read(Kind::Double, &Scalar::Float(f64::INFINITY)).is_err());
    }

    #[test]
    fn reasons_do_not_repeat_the_value() {
        for kind in [Kind::Text, Kind::Email, Kind::Key, Kind::Epoch, Kind::Double] {
            for value in [string("secret"), Scalar::Float(1234.5), Scalar::Int(-1234)] {
                if let Err(reason) = read(kind, &value) {
                    assert!(!reason.contains("secret") && !reason.contains("1234"), "{reason}");
                }
            }
        }
    }
}
