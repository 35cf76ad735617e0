//! What is compressed as a whole.

use std::collections::BTreeSet;
use std::io::Read;

use flate2::read::MultiGzDecoder;

use super::needles::Needles;
use super::object::{Failed, Kind};
use super::report::{Looked, Place};
use super::spool::Spooled;
use super::text::Text;
use crate::lake::watch::Watch;

/// Bytes that are looked at at once.
const PIECE: usize = 256 * 1024;

/// Looks into what is inside gzip (RFC 1952).
pub(super) fn gzip(
    needles: &Needles,
    object: &Spooled,
    looked: &mut Looked,
    watch: &Watch,
) -> Result<(), Failed> {
    content(needles, MultiGzDecoder::new(object.reader()?), looked, watch)
}

/// The same for zstd (RFC 8878).
pub(super) fn zstd(
    needles: &Needles,
    object: &Spooled,
    looked: &mut Looked,
    watch: &Watch,
) -> Result<(), Failed> {
    content(needles, zstd::stream::read::Decoder::new(object.reader()?)?, looked, watch)
}

fn content(
    needles: &Needles,
    inside: impl Read,
    looked: &mut Looked,
    watch: &Watch,
) -> Result<(), Failed> {
    let mut found = BTreeSet::new();
    let first = pieces(needles, inside, &mut found, watch)?;
    looked.note(needles, Place::Content, &found);
    match Kind::of(&first) {
        Kind::Text => Ok(()),
        kind => Err(Failed::Unreadable(format!("{kind:?} inside of another format"))),
    }
}

/// Searches all bytes as text; gives those that it begins with.
pub(super) fn pieces(
    needles: &Needles,
    mut reader: impl Read,
    found: &mut BTreeSet<super::needles::Part>,
    watch: &Watch,
) -> Result<Vec<u8>, Failed> {
    let (mut text, mut piece, mut first) = (Text::new(needles), vec![0; PIECE], Vec::new());
    loop {
        watch.go_on().map_err(|_| Failed::Stopped)?;
        let read = reader.read(&mut piece)?;
        let bytes = piece.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(first);
        }
        if first.len() < Kind::BYTES {
            first.extend(bytes.iter().take(Kind::BYTES));
        }
        text.more(bytes, found);
    }
}
