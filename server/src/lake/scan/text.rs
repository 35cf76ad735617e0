//! A stream of bytes that is searched as it is, and as the text that it means: without the escapes of
//! JSON, which may be there twice (JSON in a string of JSON), and of URLs.

use std::collections::BTreeSet;

use super::needles::{Needles, Part};

/// Searches bytes that come in pieces, with nothing kept but what a needle could begin in.
#[derive(Debug)]
pub(super) struct Stream<'a> {
    needles: &'a Needles,
    tail: Vec<u8>,
}

impl<'a> Stream<'a> {
    pub fn new(needles: &'a Needles) -> Self {
        Self { needles, tail: Vec::new() }
    }

    /// Looks into more bytes.
    pub fn more(&mut self, bytes: &[u8], found: &mut BTreeSet<Part>) {
        let keep = self.needles.longest().saturating_sub(1);
        // What lies across the border, then the piece itself without a copy of it.
        let mut border = std::mem::take(&mut self.tail);
        let head = bytes.get(..keep).unwrap_or(bytes);
        border.extend_from_slice(head);
        self.needles.search(&border, found);
        if bytes.len() > head.len() {
            self.needles.search(bytes, found);
        }
        let rest = if bytes.len() >= keep { bytes } else { &border };
        self.tail = rest.get(rest.len().saturating_sub(keep)..).unwrap_or_default().to_vec();
    }
}

/// The same for text.
#[derive(Debug)]
pub(super) struct Text<'a> {
    plain: Stream<'a>,
    once: (Json, Stream<'a>),
    twice: (Json, Stream<'a>),
    url: (Url, Stream<'a>),
}

impl<'a> Text<'a> {
    pub fn new(needles: &'a Needles) -> Self {
        let stream = || Stream::new(needles);
        Self {
            plain: stream(),
            once: (Json::default(), stream()),
            twice: (Json::default(), stream()),
            url: (Url::default(), stream()),
        }
    }

    pub fn more(&mut self, bytes: &[u8], found: &mut BTreeSet<Part>) {
        self.plain.more(bytes, found);
        let mut once = Vec::with_capacity(bytes.len());
        self.once.0.more(bytes, &mut once);
        self.once.1.more(&once, found);
        let mut twice = Vec::with_capacity(once.len());
        self.twice.0.more(&once, &mut twice);
        self.twice.1.more(&twice, found);
        let mut url = Vec::with_capacity(bytes.len());
        self.url.0.more(bytes, &mut url);
        self.url.1.more(&url, found);
    }
}

/// Searches one text that is there as a whole.
pub(super) fn search(needles: &Needles, bytes: &[u8], found: &mut BTreeSet<Part>) {
    match bytes.iter().any(|byte| matches!(byte, b'\\' | b'%')) {
        true => Text::new(needles).more(bytes, found),
        false => needles.search(bytes, found),
    }
}

/// Takes away a layer of JSON's escapes (RFC 8259, section 7). What is none stays as it is.
#[derive(Debug, Default)]
struct Json {
    /// An escape that has begun.
    begun: Vec<u8>,
    /// The first half of a pair of surrogates.
    high: Option<u32>,
}

impl Json {
    fn more(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for &byte in bytes {
            if self.begun.is_empty() {
                match byte {
                    b'\\' => self.begun.push(byte),
                    _ => out.push(byte),
                }
                continue;
            }
            self.begun.push(byte);
            match self.begun.as_slice() {
                [_, b'u'] => {}
                [_, b'u', digits @ ..] if digits.iter().all(u8::is_ascii_hexdigit) => {
                    if digits.len() == 4 {
                        let code = digits.iter().fold(0, |code, digit| {
                            16 * code + char::from(*digit).to_digit(16).unwrap_or_default()
                        });
                        self.unit(code, out);
                        self.begun.clear();
                    }
                }
                [_, one] => {
                    let one = match *one {
                        b'n' => b'\n',
                        b't' => b'\t',
                        b'r' => b'\r',
                        b'b' => 8,
                        b'f' => 12,
                        other => other,
                    };
                    out.push(one);
                    self.begun.clear();
                }
                _ => none(&mut self.begun, b'\\', out),
            }
        }
    }

    fn unit(&mut self, code: u32, out: &mut Vec<u8>) {
        let high = self.high.take();
        let code = match (high, code) {
            (_, 0xd800..=0xdbff) => {
                self.high = Some(code);
                return;
            }
            (Some(high), 0xdc00..=0xdfff) => 0x10000 + ((high - 0xd800) << 10) + (code - 0xdc00),
            _ => code,
        };
        let letter = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

/// Takes away the escapes of URLs (RFC 3986, section 2.1).
#[derive(Debug, Default)]
struct Url {
    begun: Vec<u8>,
}

impl Url {
    fn more(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for &byte in bytes {
            if self.begun.is_empty() {
                match byte {
                    b'%' => self.begun.push(byte),
                    _ => out.push(byte),
                }
                continue;
            }
            self.begun.push(byte);
            let digit =
                |byte: u8| char::from(byte).to_digit(16).and_then(|it| u8::try_from(it).ok());
            match self.begun.as_slice() {
                [_, high] if digit(*high).is_some() => {}
                [_, high, low] => match (digit(*high), digit(*low)) {
                    (Some(high), Some(low)) => {
                        out.push(16 * high + low);
                        self.begun.clear();
                    }
                    _ => none(&mut self.begun, b'%', out),
                },
                _ => none(&mut self.begun, b'%', out),
            }
        }
    }
}

/// What looked like an escape is none; its last byte may begin one.
fn none(begun: &mut Vec<u8>, begins: u8, out: &mut Vec<u8>) {
    let last = begun.pop();
    out.append(begun);
    match last {
        Some(last) if last == begins => begun.push(last),
        last => out.extend(last),
    }
}

#[cfg(test)]
mod tests {
    use super::super::needles::Needle;
    use super::*;

    fn needles() -> Needles {
        Needles::new(vec![
            Needle::any_case("email", "ada+1@exämple.com"),
            Needle::exact("astral", "a𝄞b"),
        ])
        .unwrap()
    }

    fn found(needles: &Needles, text: &str, piece: usize) -> usize {
        let (mut stream, mut found) = (Text::new(needles), BTreeSet::new());
        text.as_bytes().chunks(piece).for_each(|piece| stream.more(piece, &mut found));
        found.len()
    }

    #[test]
    fn text_is_found_behind_escapes_and_across_pieces() {
        let needles = needles();
        for text in [
            "xx ada+1@exämple.com xx",
            r#"{"email":"ADA+1@EX\u00C4MPLE.com"}"#,
            r#"{"email":"\u0061da\u002b1\u0040ex\u00e4mple.com"}"#,
            r#"{"stats":"{\"email\":\"ada+1\\u0040ex\\u00e4mple.com\"}"}"#,
            "p=ada%2b1%40ex%C3%A4mple.com/",
            r#"{"x":"a\ud834\udd1eb"}"#,
            r"\u12\u0061da+1@exämple.com",
            "%4%61da+1@exämple.com",
        ] {
            for piece in [1, 2, 3, 7, 16, 1000] {
                assert_eq!(found(&needles, text, piece), 1, "{text} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn nothing_is_found_where_nothing_is() {
        let needles = needles();
        for text in ["ada+1@exämple,com", r"ada\u002b1", "ada%2", r"\u12", r"a\ud834b", "%%%\\"] {
            for piece in [1, 3, 1000] {
                assert_eq!(found(&needles, text, piece), 0, "{text} in pieces of {piece}");
            }
        }
    }
}
