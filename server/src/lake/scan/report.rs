//! What a verification found.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use super::needles::{Needles, Part};

/// Matches that are listed; all are counted.
const LISTED: usize = 1000;

/// Where in an object something was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In its name.
    Name,
    /// In its bytes: of Parquet that is the footer, statistics and indexes, among others.
    Bytes,
    /// In a page or dictionary of Parquet.
    Page,
    /// In a row of Parquet or Arrow.
    Row,
    /// In what is inside a compressed object, or in the metadata of columns.
    Content,
}

impl Place {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Bytes => "bytes",
            Self::Page => "page",
            Self::Row => "row",
            Self::Content => "content",
        }
    }
}

/// Something that must not be there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScanMatch {
    /// The object's path below the lake's root.
    pub object: String,
    /// Where in it.
    pub place: Place,
    /// Which needle, by its place among those that were looked for.
    pub needle: usize,
    /// What that is called.
    pub name: String,
}

/// An object that could not be looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unverified {
    /// The object's path below the lake's root.
    pub object: String,
    /// Why.
    pub reason: String,
}

/// What a verification looked at, and what it found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScanReport {
    /// Objects that were looked into.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Parquet files among them.
    pub parquet_files: u64,
    /// Pages and dictionaries that were decoded.
    pub pages: u64,
    /// Rows that were decoded.
    pub rows: u64,
    /// Objects out of scope, which were not looked into.
    pub out_of_scope: u64,
    /// Objects that somebody removed meanwhile.
    pub gone: u64,
    /// What was found, at most so many as are listed.
    pub matches: Vec<ScanMatch>,
    /// How much was found.
    pub found: u64,
    /// What could not be looked into.
    pub unverified: Vec<Unverified>,
}

impl ScanReport {
    /// Whether everything was looked into and nothing found.
    pub fn clean(&self) -> bool {
        self.found == 0 && self.unverified.is_empty()
    }

    /// Adds what was found in one object; its bytes.
    pub(super) fn add(&mut self, other: Looked) -> u64 {
        self.objects += 1;
        self.bytes += other.bytes;
        self.parquet_files += u64::from(other.parquet);
        self.pages += other.pages;
        self.rows += other.rows;
        self.found += other.matches.len() as u64;
        let room = LISTED.saturating_sub(self.matches.len());
        self.matches.extend(other.matches.into_iter().take(room));
        let object = other.object;
        self.unverified.extend(other.unverified.map(|reason| Unverified { object, reason }));
        other.bytes
    }
}

/// How far a verification is.
#[derive(Debug, Default)]
pub struct ScanProgress {
    /// Objects to look into, once they are listed.
    pub objects: AtomicU64,
    /// Objects that were looked into.
    pub done: AtomicU64,
    /// Bytes that were.
    pub bytes: AtomicU64,
}

impl ScanProgress {
    pub(super) fn listed(&self, objects: usize) {
        self.objects.store(objects as u64, Ordering::Relaxed);
    }

    pub(super) fn looked(&self, bytes: u64) {
        self.done.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// What was found in one object.
#[derive(Debug, Default)]
pub(super) struct Looked {
    pub object: String,
    pub bytes: u64,
    pub parquet: bool,
    pub pages: u64,
    pub rows: u64,
    pub matches: BTreeSet<ScanMatch>,
    pub unverified: Option<String>,
}

impl Looked {
    pub fn new(object: &str) -> Self {
        Self { object: object.to_owned(), ..Self::default() }
    }

    /// Notes the needles of which all parts were found in one row, or one object.
    pub fn note(&mut self, needles: &Needles, place: Place, parts: &BTreeSet<Part>) {
        let mut seen = BTreeMap::<usize, usize>::new();
        for part in parts {
            *seen.entry(part.needle).or_default() += 1;
        }
        for (needle, seen) in seen {
            if seen == needles.parts(needle) {
                let (object, name) = (self.object.clone(), needles.name(needle).to_owned());
                self.matches.insert(ScanMatch { object, place, needle, name });
            }
        }
    }

    /// The same for bytes that hold many rows: what means somebody only together does not count.
    pub fn note_single(&mut self, needles: &Needles, place: Place, parts: &BTreeSet<Part>) {
        let single = parts.iter().filter(|part| needles.parts(part.needle) == 1);
        self.note(needles, place, &single.copied().collect());
    }
}
