//! Where a record that is not valid JSON ends, so that what stands behind it is not lost.

use super::record::Record;

/// How many places are tried at which a record might begin inside a broken one.
const TRIES: usize = 1000;

/// Follows the braces of a broken record, piece by piece.
///
/// Braces in strings do not count. Two things end a record before its own closing brace: a line
/// break inside a string, which JSON does not allow, and a line that begins with `{`.
#[derive(Debug, Default)]
pub(super) struct Extent {
    depth: u32,
    in_string: bool,
    escaped: bool,
    after_line_break: bool,
}

impl Extent {
    /// Takes the record's next bytes; `Some(n)` once it ends in front of the `n`th of them.
    pub fn feed(&mut self, bytes: &[u8]) -> Option<usize> {
        for (at, byte) in bytes.iter().enumerate() {
            let after_line_break = std::mem::replace(&mut self.after_line_break, *byte == b'\n');
            if self.in_string {
                match byte {
                    b'\n' => return Some(at),
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'{' if after_line_break && self.depth > 0 => return Some(at),
                b'{' => self.depth += 1,
                b'}' if self.depth <= 1 => return Some(at + 1),
                b'}' => self.depth -= 1,
                b'"' => self.in_string = true,
                _ => {}
            }
        }
        None
    }
}

/// The first place in a broken record at which another record begins: behind a `}`, a comma
/// allowed, and readable as a whole. A quote too many in a file without line breaks would
/// otherwise take every record behind it along.
pub(super) fn next_record(broken: &[u8]) -> Option<usize> {
    let mut closed = false;
    let mut tries = 0;
    for (at, byte) in broken.iter().enumerate() {
        match byte {
            b'}' => closed = true,
            b'{' if closed => {
                let mut records =
                    serde_json::Deserializer::from_slice(&broken[at..]).into_iter::<Record<'_>>();
                if matches!(records.next(), Some(Ok(_))) {
                    return Some(at);
                }
                tries += 1;
                if tries == TRIES {
                    return None;
                }
                closed = false;
            }
            b',' | b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => closed = false,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_at_the_closing_brace_a_broken_string_or_the_next_line_that_begins_a_record() {
        for (text, end) in [
            (r#"{"a":x}{"#, Some(7)),
            (r#"{"a":{"b":x}} rest"#, Some(13)),
            (r#"{"a":"}\"}"}"#, Some(12)),
            ("{\"a\":\"b\n{}", Some(7)),
            ("{\"a\":1,\n{}", Some(8)),
            ("{\n  {\n  }\n}", Some(11)),
            (r#"{"a":"#, None),
        ] {
            assert_eq!(Extent::default().feed(text.as_bytes()), end, "{text}");
            // The same, byte by byte.
            let mut extent = Extent::default();
            let bytes = text.as_bytes().chunks(1).enumerate();
            let single = bytes.filter_map(|(at, byte)| Some(at + extent.feed(byte)?)).next();
            assert_eq!(single, end, "{text}");
        }
    }

    #[test]
    fn finds_the_record_behind_a_quote_too_many() {
        let text = br#"{"user":"a,"x":1}{"user":"b","x":1}{"user":"c"}"#;
        assert_eq!(next_record(text), Some(17));
        assert_eq!(next_record(br#"{"a":x}"#), None);
    }
}
