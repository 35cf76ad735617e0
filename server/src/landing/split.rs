//! Bytes become records: JSON Lines, arrays, records one after another, in bounded memory.

use std::collections::HashSet;
use std::io::{self, Read};

use sha2::{Digest, Sha256};

use super::bytes::Bytes;
use super::extent::{Extent, Step};
use super::record::Record;

/// Bytes that are read at once.
const CHUNK: usize = 256 * 1024;

/// How many places inside one broken record are tried as the beginning of another.
const TRIES: usize = 1000;
const CUT_OFF: &str = "cut off: the input ends inside this record";

/// A part of the input.
pub(super) struct Piece<'a> {
    /// The line on which it begins; the first is 1.
    pub line: u64,
    /// Its text.
    pub raw: &'a [u8],
    /// Its fields, or why it has none.
    pub record: Result<Record<'a>, String>,
}

/// Cuts a stream into records.
///
/// What may stand between records is skipped: white space, commas, brackets. A record that is not
/// valid JSON is a piece with a reason, and the next piece begins behind it.
pub(super) struct Splitter<R: Read> {
    bytes: Bytes<R>,
    buffer: Vec<u8>,
    /// `buffer[start..]` was read and not yet given out.
    start: usize,
    ended: bool,
    /// What ended the stream early, if it cannot be decompressed any further.
    damage: Option<String>,
    line: u64,
    digest: Sha256,
    record_bytes: usize,
    /// Field names of the source, in lower case.
    names: HashSet<String>,
}

/// What stands at the front of the buffer.
enum Front {
    Record { length: usize },
    Incomplete,
    CutOff,
    Broken { reason: String },
}

impl<R: Read> Splitter<R> {
    /// A splitter of a stream in which no record is longer than `record_bytes`; `names` are the
    /// source's fields, in lower case.
    pub fn new(bytes: Bytes<R>, record_bytes: usize, names: HashSet<String>) -> Self {
        Self {
            bytes,
            buffer: Vec::new(),
            start: 0,
            ended: false,
            damage: None,
            line: 1,
            digest: Sha256::new(),
            record_bytes,
            names,
        }
    }

    /// Gives every piece to `sink`, then the SHA-256 of all decompressed bytes.
    ///
    /// # Errors
    /// If the stream cannot be read, or `sink` fails.
    pub fn run<E: From<io::Error>>(
        mut self,
        mut sink: impl FnMut(Piece<'_>) -> Result<(), E>,
    ) -> Result<[u8; 32], E> {
        self.skip_byte_order_mark()?;
        while self.skip_separators()? {
            if self.buffer[self.start] != b'{' {
                self.stray(&mut sink)?;
                continue;
            }
            match self.front(&mut sink)? {
                Front::Record { length } => self.consume(length),
                Front::Incomplete if self.unread() > self.record_bytes => {
                    self.broken(too_long(self.record_bytes), &mut sink)?;
                }
                Front::Incomplete => {
                    self.fill()?;
                }
                Front::CutOff => {
                    let reason = self.damage.take();
                    let reason = reason.unwrap_or_else(|| CUT_OFF.to_owned());
                    self.broken(reason, &mut sink)?;
                }
                Front::Broken { reason } => self.broken(reason, &mut sink)?,
            }
        }
        if let Some(reason) = self.damage.take() {
            sink(Piece { line: self.line, raw: b"", record: Err(reason) })?;
        }
        Ok(self.digest.finalize().into())
    }

    /// Reads the record at the front and gives it to `sink`.
    fn front<E>(&mut self, sink: &mut impl FnMut(Piece<'_>) -> Result<(), E>) -> Result<Front, E> {
        let unread = &self.buffer[self.start..];
        let mut records = serde_json::Deserializer::from_slice(unread).into_iter::<Record<'_>>();
        match records.next() {
            Some(Ok(record)) => {
                let length = records.byte_offset();
                let raw = &unread[..length.min(self.record_bytes)];
                let record = match length <= self.record_bytes {
                    true => Ok(record),
                    false => Err(too_long(self.record_bytes)),
                };
                sink(Piece { line: self.line, raw, record })?;
                Ok(Front::Record { length })
            }
            Some(Err(error)) if error.is_eof() && !self.ended => Ok(Front::Incomplete),
            Some(Err(error)) if error.is_eof() => Ok(Front::CutOff),
            Some(Err(error)) => Ok(Front::Broken { reason: syntax(&error) }),
            None => Ok(Front::Incomplete),
        }
    }

    /// Gives out text outside of any record, up to the end of its line or a `{`.
    fn stray<E: From<io::Error>>(
        &mut self,
        sink: &mut impl FnMut(Piece<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut at = 0;
        loop {
            let end = self.buffer[self.start + at..]
                .iter()
                .position(|byte| matches!(byte, b'\n' | b'{'))
                .map(|length| at + length);
            at = end.unwrap_or(self.unread());
            if end.is_some() || at > self.record_bytes || !self.fill()? {
                break;
            }
        }
        self.give(at, "not a JSON object".to_owned(), sink)?;
        self.consume(at);
        Ok(())
    }

    /// Gives out the broken record at the front, up to where it ends or another one begins.
    fn broken<E: From<io::Error>>(
        &mut self,
        reason: String,
        sink: &mut impl FnMut(Piece<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut reason = Some(reason);
        let mut extent = Extent::default();
        let mut tries = 0;
        let mut at = 0;
        loop {
            if at == self.unread() {
                // What is longer than a record may be is given out once and then only skipped.
                if at > self.record_bytes {
                    if let Some(reason) = reason.take() {
                        self.give(at, reason, sink)?;
                    }
                    self.consume(at);
                    at = 0;
                }
                if !self.fill()? {
                    break;
                }
                continue;
            }
            match extent.step(self.buffer[self.start + at]) {
                Step::Inside => at += 1,
                Step::EndsBefore => break,
                Step::EndsBehind => {
                    at += 1;
                    break;
                }
                Step::MayBegin => {
                    tries += 1;
                    if tries <= TRIES && self.record_at(at)? {
                        break;
                    }
                    extent.belongs();
                    at += 1;
                }
            }
        }
        if let Some(reason) = reason {
            self.give(at, reason, sink)?;
        }
        self.consume(at);
        Ok(())
    }

    /// Whether a record of this source can be read from here: an object that has one of its fields.
    fn record_at(&mut self, at: usize) -> io::Result<bool> {
        loop {
            let unread = &self.buffer[self.start + at..];
            let mut records =
                serde_json::Deserializer::from_slice(unread).into_iter::<Record<'_>>();
            match records.next() {
                Some(Ok(record)) => {
                    let known = |name: &str| self.names.contains(&name.trim().to_lowercase());
                    return Ok(record.0.iter().any(|(name, _)| known(name)));
                }
                Some(Err(error)) if error.is_eof() && unread.len() <= self.record_bytes => {
                    if !self.fill()? {
                        return Ok(false);
                    }
                }
                _ => return Ok(false),
            }
        }
    }

    /// Gives the first `length` bytes to `sink` as a piece that has no record.
    fn give<E>(
        &self,
        length: usize,
        reason: String,
        sink: &mut impl FnMut(Piece<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let kept = length.min(self.record_bytes);
        let raw = self.buffer[self.start..self.start + kept].trim_ascii_end();
        sink(Piece { line: self.line, raw, record: Err(reason) })
    }

    /// Skips what may stand between records; false at the end of the stream.
    fn skip_separators(&mut self) -> io::Result<bool> {
        loop {
            let separator =
                |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b',' | b'[' | b']');
            let unread = &self.buffer[self.start..];
            match unread.iter().position(|byte| !separator(byte)) {
                Some(length) => {
                    self.consume(length);
                    return Ok(true);
                }
                None => {
                    self.consume(self.unread());
                    if !self.fill()? {
                        return Ok(false);
                    }
                }
            }
        }
    }

    fn skip_byte_order_mark(&mut self) -> io::Result<()> {
        const MARK: &[u8] = b"\xef\xbb\xbf";
        while self.unread() < MARK.len() && self.fill()? {}
        if self.buffer[self.start..].starts_with(MARK) {
            self.consume(MARK.len());
        }
        Ok(())
    }

    fn unread(&self) -> usize {
        self.buffer.len() - self.start
    }

    fn consume(&mut self, length: usize) {
        let consumed = &self.buffer[self.start..self.start + length];
        self.line += consumed.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.start += length;
    }

    /// Reads more; false at the end of the stream.
    fn fill(&mut self) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        let filled = self.buffer.len();
        self.buffer.resize(filled + CHUNK, 0);
        let read = loop {
            match self.bytes.read(&mut self.buffer[filled..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => break outcome,
            }
        };
        let read = match read {
            Ok(read) => read,
            Err(error) if self.bytes.fatal(&error) => return Err(error),
            Err(error) => {
                self.damage =
                    Some(format!("cut off: the compressed data cannot be read on: {error}"));
                0
            }
        };
        self.buffer.truncate(filled + read);
        self.digest.update(&self.buffer[filled..]);
        self.ended = read == 0;
        Ok(read > 0)
    }
}

fn too_long(record_bytes: usize) -> String {
    format!("longer than {record_bytes} bytes")
}

/// The parser's message with the place inside the record, without quoting the record.
fn syntax(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or("invalid");
    match error.line() {
        1 => format!("not valid JSON: {what} at byte {} of the record", error.column()),
        line => {
            format!("not valid JSON: {what} at line {line}, byte {} of the record", error.column())
        }
    }
}
