//! A file that is not whole yet: its bytes so far, and a journal of which they are.
//!
//! The journal is lines of text: the `ETag` that the bytes are of, then `START END` per piece. A line is
//! written behind its bytes, and one without its end counts for nothing. A journal that is wrong for any
//! reason costs a download: nothing gets its name before its digest was checked.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::ranges::Ranges;

/// A file on its way.
#[derive(Debug)]
pub(super) struct Part {
    bytes: u64,
    path: PathBuf,
    journal: PathBuf,
    file: File,
    state: Mutex<State>,
    /// Held by whoever reads the file as a whole, where the server gives no ranges.
    pub whole: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State {
    have: Ranges,
    etag: Option<String>,
    journal: File,
}

impl Part {
    /// The part of a file of so many bytes, with what is there of it from before.
    pub fn open(stage: &Path, sha256: &str, bytes: u64) -> io::Result<Self> {
        let path = stage.join(format!("{sha256}.part"));
        let journal = stage.join(format!("{sha256}.have"));
        let fits = fs::metadata(&path).is_ok_and(|it| it.len() == bytes);
        let (etag, have) = match fits {
            true => read(&journal, bytes)?,
            false => (None, Ranges::default()),
        };
        let file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path)?;
        file.set_len(bytes)?;
        // Written anew, so that it has no torn line in it that the next one would be behind of.
        let draft = stage.join(format!("{sha256}.draft"));
        fs::write(&draft, text(etag.as_deref(), &have, bytes))?;
        fs::rename(&draft, &journal)?;
        let held = OpenOptions::new().append(true).open(&journal)?;
        let state = Mutex::new(State { have, etag, journal: held });
        Ok(Self { bytes, path, journal, file, state, whole: tokio::sync::Mutex::new(()) })
    }

    /// Its bytes when it is whole.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What of a range is not there.
    pub fn first_missing(&self, within: &Range<u64>) -> Option<Range<u64>> {
        self.state().have.first_missing(within)
    }

    /// How many bytes are there.
    pub fn total(&self) -> u64 {
        self.state().have.total()
    }

    /// What the bytes are of.
    pub fn etag(&self) -> Option<String> {
        self.state().etag.clone()
    }

    /// Notes what the bytes to come are of. Those of something else are forgotten; says how many.
    pub fn comes_from(&self, etag: Option<&str>) -> io::Result<u64> {
        let mut state = self.state();
        if state.etag.as_deref() == etag {
            return Ok(0);
        }
        let lost = match state.etag {
            Some(_) => std::mem::take(&mut state.have).total(),
            None => 0,
        };
        state.etag = etag.map(str::to_owned);
        let text = text(etag, &state.have, self.bytes);
        state.journal.set_len(0)?;
        state.journal.write_all(text.as_bytes())?;
        Ok(lost)
    }

    /// Writes bytes to their place, then notes them; says how many are new.
    pub async fn write(self: &Arc<Self>, at: u64, bytes: Vec<u8>) -> io::Result<u64> {
        let part = Arc::clone(self);
        let written = tokio::task::spawn_blocking(move || {
            part.file.write_all_at(&bytes, at)?;
            let range = at..at + bytes.len() as u64;
            let mut state = part.state();
            writeln!(state.journal, "{} {}", range.start, range.end)?;
            Ok(state.have.add(range))
        });
        written.await.map_err(io::Error::other)?
    }

    /// Everything is on the disk.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Forgets all of it.
    pub fn discard(self: Arc<Self>) -> io::Result<()> {
        fs::remove_file(&self.path)?;
        fs::remove_file(&self.journal)
    }

    /// It is whole and right: it gets its name within the stage.
    pub fn finish(&self, name: &Path) -> io::Result<()> {
        fs::rename(&self.path, name)?;
        fs::remove_file(&self.journal)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first line names the `ETag`, or is empty.
fn text(etag: Option<&str>, have: &Ranges, bytes: u64) -> String {
    let mut text = format!("{}\n", etag.unwrap_or_default());
    let mut at = 0;
    while at < bytes {
        let missing = have.first_missing(&(at..bytes)).unwrap_or(bytes..bytes);
        if missing.start > at {
            text.push_str(&format!("{at} {}\n", missing.start));
        }
        at = missing.end.max(missing.start);
    }
    text
}

fn read(journal: &Path, bytes: u64) -> io::Result<(Option<String>, Ranges)> {
    match fs::read_to_string(journal) {
        Ok(text) => Ok(parse(&text, bytes)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidData) => {
            Ok((None, Ranges::default()))
        }
        Err(error) => Err(error),
    }
}

fn parse(text: &str, bytes: u64) -> (Option<String>, Ranges) {
    let mut have = Ranges::default();
    // What is behind the last end of a line is torn.
    let mut lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    let etag = lines.next().filter(|it| !it.is_empty()).map(str::to_owned);
    for line in lines {
        let range = line.split_once(' ');
        let range = range.and_then(|(start, end)| Some((start.parse().ok()?, end.parse().ok()?)));
        if let Some((start, end)) = range.filter(|(start, end)| start < end && *end <= bytes) {
            have.add(start..end);
        }
    }
    (etag, have)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_is_read_as_far_as_it_is_whole() {
        let (etag, have) = parse("\"a\"\n0 10\n20 30\nx y\n5 2\n90 200\n40 5", 100);
        assert_eq!(etag.as_deref(), Some("\"a\""));
        assert_eq!((have.total(), have.first_missing(&(0..100))), (20, Some(10..20)));
        assert_eq!(text(etag.as_deref(), &have, 100), "\"a\"\n0 10\n20 30\n");
        assert_eq!(parse("", 10), (None, Ranges::default()));
        assert_eq!(parse("\n0 1\n", 10).1.total(), 1);
        assert_eq!(parse("\"a", 10), (None, Ranges::default()));
        have.first_missing(&(30..31)).unwrap();
    }
}
