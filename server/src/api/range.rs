//! Which bytes a request asks for, by its headers (RFC 9110, sections 13 and 14).

use std::ops::Range;

use axum::http::header::{IF_NONE_MATCH, IF_RANGE, RANGE};
use axum::http::{HeaderMap, HeaderName};

/// What a request for something of a known length is to be answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it.
    Whole,
    /// These bytes, at least one.
    Part(Range<u64>),
    /// Nothing: whoever asks has it.
    Known,
    /// Bytes that it does not have.
    None,
}

impl Wanted {
    /// What a GET asks for of so many bytes with this strong tag, which is given without quotes.
    ///
    /// A range that is no range of bytes, or several, is answered with the whole, as RFC 9110 allows.
    pub fn of(headers: &HeaderMap, tag: &str, bytes: u64) -> Self {
        if known(headers, tag) {
            return Self::Known;
        }
        let Some(range) = one(headers, &RANGE).filter(|_| is_same(headers, tag)) else {
            return Self::Whole;
        };
        match parse(range) {
            Some(range) => range.within(bytes).map_or(Self::None, Self::Part),
            None => Self::Whole,
        }
    }
}

/// A range as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    /// From a byte up to another one, that one too, or to the end.
    From(u64, Option<u64>),
    /// The last bytes.
    Last(u64),
}

impl Written {
    fn within(self, bytes: u64) -> Option<Range<u64>> {
        let range = match self {
            Self::From(first, last) => {
                first..last.map_or(bytes, |last| last.saturating_add(1)).min(bytes)
            }
            Self::Last(count) => bytes.saturating_sub(count)..bytes,
        };
        (range.start < range.end).then_some(range)
    }
}

/// One range of bytes; `None` if it is something else.
fn parse(text: &str) -> Option<Written> {
    let (unit, range) = text.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    match (first.is_empty(), last.is_empty()) {
        (true, false) => number(last).map(Written::Last),
        (false, true) => Some(Written::From(number(first)?, None)),
        (false, false) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Written::From(first, Some(last)))
        }
        (true, true) => None,
    }
}

/// A number of digits; one that is too large is as large as can be.
fn number(digits: &str) -> Option<u64> {
    let all = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// Whether `If-None-Match` names what is there. It compares weakly (RFC 9110, section 13.1.2).
fn known(headers: &HeaderMap, tag: &str) -> bool {
    let lists = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = lists.flat_map(|list| list.split(',')).map(str::trim);
    tags.any(|known| known == "*" || quoted(known.strip_prefix("W/").unwrap_or(known), tag))
}

/// Whether `If-Range`, where there is one, names what is there. It compares strongly; no time is given
/// with an answer, so that none can be the same (RFC 9110, section 13.1.5).
fn is_same(headers: &HeaderMap, tag: &str) -> bool {
    match headers.contains_key(IF_RANGE) {
        true => one(headers, &IF_RANGE).is_some_and(|known| quoted(known.trim(), tag)),
        false => true,
    }
}

fn quoted(text: &str, tag: &str) -> bool {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) == Some(tag)
}

/// The text of a header that is there once.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn wanted(headers: &[(HeaderName, &str)], bytes: u64) -> Wanted {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, HeaderValue::from_str(value).unwrap());
        }
        Wanted::of(&map, "tag", bytes)
    }

    fn range(text: &str, bytes: u64) -> Wanted {
        wanted(&[(RANGE, text)], bytes)
    }

    #[test]
    fn ranges_as_in_the_standard() {
        // RFC 9110, section 14.1.2: of a representation of 10000 bytes.
        assert_eq!(range("bytes=0-499", 10_000), Wanted::Part(0..500));
        assert_eq!(range("bytes=500-999", 10_000), Wanted::Part(500..1000));
        assert_eq!(range("bytes=-500", 10_000), Wanted::Part(9500..10_000));
        assert_eq!(range("bytes=9500-", 10_000), Wanted::Part(9500..10_000));
        assert_eq!(range("Bytes=0-0", 10_000), Wanted::Part(0..1));
        assert_eq!(range("bytes=9999-10500", 10_000), Wanted::Part(9999..10_000));
        assert_eq!(range("bytes=-20000", 10_000), Wanted::Part(0..10_000));
        assert_eq!(range("bytes=0-99999999999999999999999", 5), Wanted::Part(0..5));
    }

    #[test]
    fn bytes_that_are_not_there() {
        for text in ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99999999999999999999999-"] {
            assert_eq!(range(text, 10), Wanted::None, "{text}");
        }
        assert_eq!(range("bytes=0-", 0), Wanted::None);
        assert_eq!(range("bytes=-5", 0), Wanted::None);
        assert_eq!(wanted(&[], 0), Wanted::Whole);
    }

    #[test]
    fn what_is_no_range_is_the_whole() {
        for text in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-",
            "bytes=1-a",
            "bytes=5-2",
            "lines=1-2",
            "bytes=1-2,4-5",
            "bytes=+1-2",
            "bytes=1 - 2",
            "bytes=--1",
            "bytes 0-1",
        ] {
            assert_eq!(range(text, 10), Wanted::Whole, "{text}");
        }
        assert_eq!(wanted(&[(RANGE, "bytes=0-1"), (RANGE, "bytes=3-4")], 10), Wanted::Whole);
    }

    #[test]
    fn a_range_only_of_what_is_known() {
        let with = |tag: &str| wanted(&[(RANGE, "bytes=0-1"), (IF_RANGE, tag)], 10);
        assert_eq!(with("\"tag\""), Wanted::Part(0..2));
        for other in ["\"other\"", "W/\"tag\"", "tag", "Sat, 28 Nov 2026 03:00:00 GMT", ""] {
            assert_eq!(with(other), Wanted::Whole, "{other}");
        }
    }

    #[test]
    fn what_is_known_is_not_given_again() {
        let with = |tag: &str| wanted(&[(RANGE, "bytes=99-"), (IF_NONE_MATCH, tag)], 10);
        for same in ["\"tag\"", "W/\"tag\"", "*", "\"a\", W/\"tag\" , \"b\""] {
            assert_eq!(with(same), Wanted::Known, "{same}");
        }
        for other in ["\"other\"", "tag", "\"tag", ""] {
            assert_eq!(with(other), Wanted::None, "{other}");
        }
    }

    proptest! {
        /// Whatever is asked for, what is given is in it, and is what was asked for as far as it is.
        #[test]
        fn parts_are_what_was_asked_for(first in 0..40_u64, last in 0..40_u64, bytes in 0..30_u64) {
            let there: Vec<u64> = (first..=last).filter(|at| *at < bytes).collect();
            let expected = match (first <= last, there.first(), there.last()) {
                (false, ..) => Wanted::Whole,
                (_, Some(first), Some(last)) => Wanted::Part(*first..last + 1),
                _ => Wanted::None,
            };
            prop_assert_eq!(range(&format!("bytes={first}-{last}"), bytes), expected);
            let tail: Vec<u64> = (0..bytes).rev().take(last as usize).collect();
            let expected = match (tail.last(), tail.first()) {
                (Some(first), Some(last)) => Wanted::Part(*first..last + 1),
                _ => Wanted::None,
            };
            prop_assert_eq!(range(&format!("bytes=-{last}"), bytes), expected);
        }

        #[test]
        fn no_text_gives_bytes_that_are_not_there(text in "(bytes=)?[0-9a-z,=-]{0,24}", bytes: u64) {
            if let Wanted::Part(part) = range(&text, bytes) {
                prop_assert!(part.start < part.end && part.end <= bytes);
            }
        }
    }
}
