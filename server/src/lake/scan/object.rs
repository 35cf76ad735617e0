//! One object: what it is, and whether something is in it.

use std::collections::BTreeSet;
use std::io::{self, Read};

use deltalake::arrow::error::ArrowError;
use deltalake::parquet::errors::ParquetError;

use super::needles::Needles;
use super::report::{Looked, Place};
use super::spool::Spooled;
use super::text::Stream;
use super::{arrow, container, parquet, text};
use crate::lake::watch::Watch;

/// Bytes that are looked at at once.
const PIECE: usize = 256 * 1024;

/// What an object is, by the bytes that it begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Parquet,
    ArrowStream,
    ArrowFile,
    Gzip,
    Zstd,
    Text,
}

/// Why an object was not looked into.
#[derive(Debug)]
pub(super) enum Failed {
    /// It is not what it begins like.
    Unreadable(String),
    /// Somebody stops it.
    Stopped,
}

impl Kind {
    /// Bytes that decide.
    pub const BYTES: usize = 8;

    pub fn of(first: &[u8]) -> Self {
        match first {
            // Also encrypted, which cannot be looked into.
            [b'P', b'A', b'R', b'1' | b'E', ..] => Self::Parquet,
            [b'A', b'R', b'R', b'O', b'W', b'1', ..] => Self::ArrowFile,
            [0xff, 0xff, 0xff, 0xff, ..] => Self::ArrowStream,
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::Text,
        }
    }
}

/// Looks into an object that was read.
pub(super) fn look(
    needles: &Needles,
    name: &str,
    size: u64,
    object: &Spooled,
    watch: &Watch,
) -> Result<Looked, Failed> {
    let mut looked = Looked { bytes: size, ..Looked::new(name) };
    look_at_name(needles, name, &mut looked);
    match look_inside(needles, name, object, &mut looked, watch) {
        Err(Failed::Unreadable(reason)) => looked.unverified = Some(reason),
        Err(Failed::Stopped) => return Err(Failed::Stopped),
        Ok(()) => {}
    }
    Ok(looked)
}

/// Looks at a name only.
pub(super) fn look_at_name(needles: &Needles, name: &str, looked: &mut Looked) {
    let mut found = BTreeSet::new();
    text::search(needles, name.as_bytes(), &mut found);
    looked.note(needles, Place::Name, &found);
}

fn look_inside(
    needles: &Needles,
    name: &str,
    object: &Spooled,
    looked: &mut Looked,
    watch: &Watch,
) -> Result<(), Failed> {
    let mut first = Vec::new();
    object.reader()?.take(Kind::BYTES as u64).read_to_end(&mut first)?;
    let kind = Kind::of(&first);
    let mut found = BTreeSet::new();
    if kind == Kind::Text {
        container::pieces(needles, object.reader()?, &mut found, watch)?;
        looked.note(needles, Place::Bytes, &found);
        let parquet = name.rsplit('/').next().is_some_and(|name| name.contains(".parquet"));
        return match parquet && !first.is_empty() {
            true => Err(Failed::Unreadable("it is not Parquet".to_owned())),
            false => Ok(()),
        };
    }
    bytes(needles, object, &mut found, watch)?;
    looked.note_single(needles, Place::Bytes, &found);
    match (kind, object) {
        (Kind::Parquet, Spooled::Memory(bytes)) => {
            parquet::file(needles, bytes.clone(), bytes.clone(), looked, watch)
        }
        (Kind::Parquet, Spooled::File(file)) => {
            parquet::file(needles, file.try_clone()?, file.try_clone()?, looked, watch)
        }
        (Kind::ArrowFile, Spooled::Memory(bytes)) => {
            arrow::file(needles, io::Cursor::new(bytes.clone()), looked, watch)
        }
        (Kind::ArrowFile, Spooled::File(file)) => {
            arrow::file(needles, file.try_clone()?, looked, watch)
        }
        (Kind::ArrowStream, object) => arrow::stream(needles, object, looked, watch),
        (Kind::Gzip, object) => container::gzip(needles, object, looked, watch),
        (Kind::Zstd, object) => container::zstd(needles, object, looked, watch),
        (Kind::Text, _) => Ok(()),
    }
}

fn bytes(
    needles: &Needles,
    object: &Spooled,
    found: &mut BTreeSet<super::needles::Part>,
    watch: &Watch,
) -> Result<(), Failed> {
    let (mut reader, mut stream) = (object.reader()?, Stream::new(needles));
    let mut piece = vec![0; PIECE];
    loop {
        watch.go_on().map_err(|_| Failed::Stopped)?;
        let read = reader.read(&mut piece)?;
        if read == 0 {
            return Ok(());
        }
        stream.more(piece.get(..read).unwrap_or_default(), found);
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}

impl From<ParquetError> for Failed {
    fn from(error: ParquetError) -> Self {
        Self::Unreadable(error.to_string())
    }
}

impl From<ArrowError> for Failed {
    fn from(error: ArrowError) -> Self {
        Self::Unreadable(error.to_string())
    }
}
