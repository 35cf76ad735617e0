//! How long the text is at most that a function makes of a row.

use deltalake::arrow::array::{Array, ArrayRef, AsArray, StringArray};
use deltalake::arrow::compute::cast;
use deltalake::arrow::datatypes::{DataType, Int64Type};
use deltalake::datafusion::common::{Result, exec_err};
use deltalake::datafusion::logical_expr::ColumnarValue;

/// Functions that make a longer text of texts, and one that takes the square of their length.
pub(super) const GROWING: [&str; 8] =
    ["repeat", "lpad", "rpad", "replace", "regexp_replace", "concat", "concat_ws", LEVENSHTEIN];
const LEVENSHTEIN: &str = "levenshtein";
/// Pairs of bytes that it may compare in one batch of rows.
const BATCH_PAIRS: u64 = 64 * 1024 * 1024;
/// Bytes that one call may make of one batch of rows.
const BATCH_BYTES: u64 = 16 * 1024 * 1024;
/// Bytes of one value that it may make, beside those that it was given.
const VALUE_BYTES: u64 = 64 * 1024;

/// Refuses a call that makes too much.
///
/// # Errors
/// If a value, or all of the batch together, becomes too long.
pub(super) fn check(name: &str, args: &[ColumnarValue], rows: usize) -> Result<()> {
    // A call over constants is carried out once, with one row, however many rows there are.
    let constant = args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
    let rows = if constant { 1 } else { rows };
    let arrays: Vec<ArrayRef> = args.iter().map(|arg| arg.to_array(rows)).collect::<Result<_>>()?;
    let call = Call::of(name, &arrays)?;
    let mut total: u64 = 0;
    for row in 0..rows {
        let (given, made) = call.bytes(row);
        if name == LEVENSHTEIN {
            total = total.saturating_add(made);
            if total > BATCH_PAIRS {
                return exec_err!("{name} is given texts that are too long");
            }
            continue;
        }
        total = total.saturating_add(made.saturating_sub(given));
        if made > VALUE_BYTES.saturating_add(given) || total > BATCH_BYTES {
            return exec_err!(
                "{name} makes more than {VALUE_BYTES} bytes of one value, or more than \
                 {BATCH_BYTES} bytes of one batch of rows"
            );
        }
    }
    Ok(())
}

/// The arguments of a call, each in the type in which it is measured.
enum Call {
    /// A text, and how often it is there.
    Repeated(StringArray, ArrayRef),
    /// A length in characters.
    Padded(ArrayRef),
    /// A text, what is replaced in it, and by what; the last flag says that the second is a pattern.
    Replaced(Box<[StringArray; 3]>, bool),
    /// Each byte of a text with each one of another.
    Compared(StringArray, StringArray),
    /// Texts behind each other.
    Joined(Vec<StringArray>),
}

impl Call {
    fn of(name: &str, args: &[ArrayRef]) -> Result<Self> {
        let texts = |array: &ArrayRef| -> Result<StringArray> {
            Ok(cast(array, &DataType::Utf8)?.as_string::<i32>().clone())
        };
        let numbers = |array: &ArrayRef| -> Result<ArrayRef> { Ok(cast(array, &DataType::Int64)?) };
        Ok(match (name, args) {
            ("repeat", [text, times, ..]) => Self::Repeated(texts(text)?, numbers(times)?),
            ("lpad" | "rpad", [_, length, ..]) => Self::Padded(numbers(length)?),
            ("replace" | "regexp_replace", [text, from, to, ..]) => {
                let pattern = name == "regexp_replace";
                Self::Replaced(Box::new([texts(text)?, texts(from)?, texts(to)?]), pattern)
            }
            (LEVENSHTEIN, [one, other]) => Self::Compared(texts(one)?, texts(other)?),
            _ => Self::Joined(args.iter().map(texts).collect::<Result<_>>()?),
        })
    }

    /// Bytes that a row gives, and that are made of them at most.
    fn bytes(&self, row: usize) -> (u64, u64) {
        match self {
            Self::Repeated(texts, times) => {
                let given = text(texts, row).len() as u64;
                (given, given.saturating_mul(number(times, row)))
            }
            // A character has up to four bytes.
            Self::Padded(lengths) => (0, number(lengths, row).saturating_mul(4)),
            Self::Replaced(texts, pattern) => {
                let [text, from, to] = texts.each_ref().map(|texts| text(texts, row));
                let given = text.len() as u64;
                let places = match (pattern, from.is_empty()) {
                    (false, false) => text.matches(from).count(),
                    // Before each character, and at the end.
                    _ => text.chars().count() + 1,
                };
                // Each reference may stand for the whole text.
                let references = to.matches(['\\', '$']).count() as u64;
                let by = match pattern {
                    true => (to.len() as u64).saturating_add(references.saturating_mul(given)),
                    false => to.len() as u64,
                };
                let taken = match pattern {
                    true => 0,
                    false => (places as u64).saturating_mul(from.len() as u64),
                };
                let left = given.saturating_sub(taken);
                (given, left.saturating_add((places as u64).saturating_mul(by)))
            }
            Self::Compared(one, other) => {
                let (one, other) = (text(one, row).len() as u64, text(other, row).len() as u64);
                (0, one.saturating_mul(other))
            }
            Self::Joined(all) => {
                let lengths = all.iter().map(|texts| text(texts, row).len() as u64);
                // The longest is given by somebody; the others make it longer.
                (lengths.clone().max().unwrap_or_default(), lengths.sum())
            }
        }
    }
}

fn text(texts: &StringArray, row: usize) -> &str {
    if texts.is_valid(row) { texts.value(row) } else { "" }
}

fn number(numbers: &ArrayRef, row: usize) -> u64 {
    let numbers = numbers.as_primitive::<Int64Type>();
    if numbers.is_valid(row) { u64::try_from(numbers.value(row)).unwrap_or(0) } else { 0 }
}

#[cfg(test)]
mod tests {
    use deltalake::datafusion::common::ScalarValue;

    use super::*;

    fn checked(name: &str, args: &[&str]) -> bool {
        let value = |text: &&str| match text.parse::<i64>() {
            Ok(number) => ScalarValue::Int64(Some(number)),
            Err(_) => ScalarValue::Utf8(Some((*text).to_owned())),
        };
        let args: Vec<_> = args.iter().map(|text| ColumnarValue::Scalar(value(text))).collect();
        check(name, &args, 1).is_ok()
    }

    #[test]
    fn what_grows_too_much_is_refused() {
        let long = "x".repeat(60_000);
        assert!(checked("repeat", &["ab", "32768"]) && !checked("repeat", &["ab", "32770"]));
        assert!(checked("lpad", &["a", "16384"]) && !checked("lpad", &["a", "16385"]));
        // What stays as long as it is may be of any length.
        assert!(checked("replace", &[&"x".repeat(9_000_000), "x", "y"]));
        assert!(
            checked("replace", &[&long, "x", "yy"]) && !checked("replace", &[&long, "x", "yyyy"])
        );
        assert!(!checked("replace", &[&long, "", "yyyy"]));
        assert!(checked("regexp_replace", &["abc", ".", "yyyy"]));
        assert!(!checked("regexp_replace", &[&long, ".", "yyy"]));
        assert!(!checked("regexp_replace", &["x".repeat(900).as_str(), ".", "$0"]));
        let many = vec![long.as_str(); 3];
        assert!(checked("concat", &many[..2]) && !checked("concat", &many));
    }

    #[test]
    fn texts_are_compared_up_to_a_length() {
        let text = "x".repeat(8 * 1024);
        assert!(checked("levenshtein", &[&text, &text]));
        assert!(!checked("levenshtein", &[&text, &format!("{text}y")]));
    }

    #[test]
    fn a_batch_is_counted_together() {
        let texts = ColumnarValue::Array(std::sync::Arc::new(StringArray::from(vec!["x"; 1000])));
        let times = |times| ColumnarValue::Scalar(ScalarValue::Int64(Some(times)));
        assert!(check("repeat", &[texts.clone(), times(16_000)], 1000).is_ok());
        assert!(check("repeat", &[texts, times(17_000)], 1000).is_err());
    }
}
