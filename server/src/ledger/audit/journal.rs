//! The journal's files. A segment is a file of frames, one line each:
//!
//! ```text
//! <first 128 bits of the SHA-256 of what follows, in hex> <JSON array of entries>\n
//! ```
//!
//! All entries that are synced together are one frame, so that what a crash tears is exactly what
//! nobody was told to be safe: the last line of the last segment, without its newline.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::record::{Facts, Row};

/// Hexadecimal digits of a frame's checksum.
const CHECKSUM: usize = 32;

/// What the journal holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Entry {
    /// An action whose first byte may have left: what its record will say if nothing follows.
    Begin(Facts),
    /// A record.
    Row(Row),
}

/// A line that is no frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The line; the first is 1.
    pub line: u64,
    /// What is wrong with it, without what it says.
    pub reason: &'static str,
}

/// What a segment holds.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Segment {
    /// The entries of its whole frames.
    pub entries: Vec<Entry>,
    /// Lines that are no frames.
    pub faults: Vec<Fault>,
    /// Bytes up to the end of its last line.
    pub whole: u64,
    /// Bytes after that.
    pub torn: u64,
}

/// The line of a frame.
pub(super) fn frame(entries: &[Entry]) -> io::Result<Vec<u8>> {
    let json = serde_json::to_vec(entries)?;
    let mut line = checksum(&json).into_bytes();
    line.reserve(json.len() + 2);
    line.push(b' ');
    line.extend(json);
    line.push(b'\n');
    Ok(line)
}

/// Reads a segment. A line that is no frame does not hide those after it.
pub(super) fn read(file: &Path) -> io::Result<Segment> {
    let mut reader = BufReader::new(File::open(file)?);
    let mut segment = Segment::default();
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        line.clear();
        let bytes = reader.read_until(b'\n', &mut line)? as u64;
        if line.pop() != Some(b'\n') {
            segment.torn = bytes;
            return Ok(segment);
        }
        segment.whole += bytes;
        number += 1;
        match entries(&line) {
            Ok(entries) => segment.entries.extend(entries),
            Err(reason) => segment.faults.push(Fault { line: number, reason }),
        }
    }
}

fn entries(line: &[u8]) -> Result<Vec<Entry>, &'static str> {
    let short = "shorter than a checksum";
    let (sum, rest) = line.split_at_checked(CHECKSUM).ok_or(short)?;
    let json = rest.strip_prefix(b" ").ok_or("no checksum")?;
    if sum != checksum(json).as_bytes() {
        return Err("the checksum is not that of the line");
    }
    serde_json::from_slice(json).map_err(|_| "not the entries of a journal")
}

fn checksum(json: &[u8]) -> String {
    let mut sum = hex::encode(Sha256::digest(json));
    sum.truncate(CHECKSUM);
    sum
}

#[cfg(test)]
mod tests {
    use super::super::chain::Head;
    use super::super::record::{Action, Draft};
    use super::*;

    fn rows(count: usize) -> Vec<Row> {
        let mut head = Head::none();
        let rows = (0..count).map(|_| {
            let facts = Facts::begun(Draft::new(Action::Sql, "test"));
            let (next, row) = head.seal("c", facts);
            head = next;
            row
        });
        rows.collect()
    }

    /// Writes bytes into a file and reads it as a segment.
    fn reread(bytes: &[u8]) -> Segment {
        let file = std::env::temp_dir().join(format!("stedi-journal-{}", uuid::Uuid::new_v4()));
        std::fs::write(&file, bytes).unwrap();
        let segment = read(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        segment
    }

    /// Three frames with a row each, and where they end.
    fn written() -> (Vec<Entry>, Vec<u8>, Vec<usize>) {
        let entries: Vec<Entry> = rows(3).into_iter().map(Entry::Row).collect();
        let mut bytes = Vec::new();
        let mut ends = Vec::new();
        for entry in &entries {
            bytes.extend(frame(std::slice::from_ref(entry)).unwrap());
            ends.push(bytes.len());
        }
        (entries, bytes, ends)
    }

    #[test]
    fn what_was_written_is_read() {
        let (entries, bytes, _) = written();
        let segment = reread(&bytes);
        assert_eq!((segment.entries, segment.faults), (entries, vec![]));
        assert_eq!((segment.whole, segment.torn), (bytes.len() as u64, 0));
        assert_eq!(reread(b""), Segment::default());
    }

    #[test]
    fn a_torn_end_is_told_from_what_is_whole_at_every_byte() {
        let (entries, bytes, ends) = written();
        for cut in 0..bytes.len() {
            let segment = reread(&bytes[..cut]);
            let whole = ends.iter().filter(|end| **end <= cut).count();
            assert_eq!(segment.entries, entries[..whole], "{cut}");
            assert_eq!(segment.faults, vec![], "{cut}");
            let end = if whole == 0 { 0 } else { ends[whole - 1] };
            assert_eq!((segment.whole, segment.torn), (end as u64, (cut - end) as u64));
        }
    }

    #[test]
    fn a_change_of_any_byte_in_the_middle_is_reported_and_the_rest_is_read() {
        let (entries, bytes, ends) = written();
        for place in ends[0]..ends[1] - 1 {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            if changed[place] == b'\n' {
                continue;
            }
            let segment = reread(&changed);
            assert_eq!(segment.entries, [entries[0].clone(), entries[2].clone()], "{place}");
            assert_eq!(segment.faults.len(), 1, "{place}");
            assert_eq!(segment.faults[0].line, 2);
        }
    }
}
