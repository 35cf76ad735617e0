//! Where a record that is not valid JSON ends, so that what stands behind it is not lost.

/// What a byte of a broken record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A part of it.
    Inside,
    /// The first byte behind it.
    EndsBefore,
    /// Its last byte.
    EndsBehind,
    /// A `{` where no value can stand, or at the beginning of a line: another record, if one can be
    /// read from here.
    MayBegin,
}

/// Follows the braces of a broken record, byte by byte.
///
/// Braces in strings do not count. Two things end a record before its own closing brace: a line
/// break inside a string, which JSON does not allow, and a line that begins with `{`. At a `{` that
/// cannot belong to the record another one may begin, also where a quote too many has turned
/// strings inside out.
#[derive(Debug, Default)]
pub(super) struct Extent {
    depth: u32,
    arrays: u32,
    in_string: bool,
    escaped: bool,
    /// Nothing but white space and commas since the line's beginning.
    line_begins: bool,
    /// Nothing but white space and commas since a `}`.
    closed: bool,
    /// The last byte that was not white space.
    last: u8,
    /// The last byte.
    previous: u8,
}

impl Extent {
    /// Takes the record's next byte.
    pub fn step(&mut self, byte: u8) -> Step {
        let (line_begins, closed) = (self.line_begins, self.closed);
        let (last, previous) = (self.last, self.previous);
        self.previous = byte;
        match byte {
            b' ' | b'\t' | b'\r' => {}
            b'\n' => self.line_begins = true,
            b',' => self.last = byte,
            _ => {
                self.line_begins = false;
                self.closed = byte == b'}';
                self.last = byte;
            }
        }
        if self.in_string {
            match byte {
                b'\n' => return Step::EndsBefore,
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                b'{' if closed => return Step::MayBegin,
                _ => {}
            }
            return Step::Inside;
        }
        match byte {
            b'{' if self.depth > 0 && previous == b'\n' => return Step::EndsBefore,
            b'{' if self.depth > 0 && self.arrays == 0 && (line_begins || last != b':') => {
                return Step::MayBegin;
            }
            b'{' => self.depth += 1,
            b'}' if self.depth <= 1 => return Step::EndsBehind,
            b'}' => self.depth -= 1,
            b'[' => self.arrays += 1,
            b']' => self.arrays = self.arrays.saturating_sub(1),
            b'"' => self.in_string = true,
            _ => {}
        }
        Step::Inside
    }

    /// The `{` of the last [`Step::MayBegin`] begins no other record.
    pub fn belongs(&mut self) {
        self.depth += u32::from(!self.in_string);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the record ends, if no other one can be read, and where one may begin.
    fn follow(text: &str) -> (Option<usize>, Vec<usize>) {
        let mut extent = Extent::default();
        let mut begins = Vec::new();
        for (at, byte) in text.bytes().enumerate() {
            match extent.step(byte) {
                Step::Inside => {}
                Step::EndsBefore => return (Some(at), begins),
                Step::EndsBehind => return (Some(at + 1), begins),
                Step::MayBegin => {
                    begins.push(at);
                    extent.belongs();
                }
            }
        }
        (None, begins)
    }

    #[test]
    fn ends_at_its_brace_a_broken_string_or_the_next_line_that_begins_a_record() {
        for (text, end) in [
            (r#"{"a":x}{"#, Some(7)),
            (r#"{"a":{"b":x}} rest"#, Some(13)),
            (r#"{"a":"}\"}"}"#, Some(12)),
            (r#"{"a":[1}"#, Some(8)),
            ("{\"a\":\"b\n{}", Some(7)),
            ("{\"a\":1,\n{}", Some(8)),
            (r#"{"a":"#, None),
        ] {
            assert_eq!(follow(text), (end, vec![]), "{text}");
        }
    }

    #[test]
    fn another_record_may_begin_where_no_value_can_stand() {
        for (text, begins) in [
            (r#"{"user":"a,"x":1}{"user":"b","x":1}"#, vec![17]),
            (r#"{"a":1{"b":1}"#, vec![6]),
            ("{\"a\":\n  {\"b\":1}", vec![8]),
            ("{\"a\":1\n , {\"b\":1}", vec![10]),
            // Values of the record itself.
            (r#"{"a":{"b":{"c":x}}}"#, vec![]),
            (r#"{"a":x,"l":[{"b":1},{"b":2}]}"#, vec![]),
        ] {
            assert_eq!(follow(text).1, begins, "{text}");
        }
    }
}
