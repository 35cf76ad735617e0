//! The name of one request, in log, answer and error.

use std::fmt;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

/// The header that carries it, both ways.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Characters of an id that a client chose.
const LONGEST: usize = 64;

/// The name of one request; it is among the request's extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// The client's, if it is one short word that can do no harm in a log; else a new one.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut given = headers.get_all(HEADER).iter();
        let theirs = match (given.next(), given.next()) {
            (Some(one), None) => one.to_str().ok().filter(|text| harmless(text)),
            _ => None,
        };
        Self(theirs.map_or_else(|| Uuid::new_v4().to_string(), str::to_owned))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn value(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn harmless(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_short_harmless_word_is_taken() {
        let of = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(HEADER, HeaderValue::from_str(value).unwrap());
            }
            RequestId::of(&headers).to_string()
        };
        assert_eq!(of(&["job-7_a.B"]), "job-7_a.B");
        assert_eq!(of(&["x".repeat(64).as_str()]).len(), 64);
        for refused in
            [&[][..], &[""], &["a b"], &["a\tb"], &["a\"b"], &["é"], &["a", "a"], &["a=b;c"]]
        {
            assert!(Uuid::parse_str(&of(refused)).is_ok(), "{refused:?}");
        }
        assert!(Uuid::parse_str(&of(&["x".repeat(65).as_str()])).is_ok());
        assert_ne!(of(&[]), of(&[]));
    }
}
