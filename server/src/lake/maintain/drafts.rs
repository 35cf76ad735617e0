//! Drafts in a folder: a local store writes `name#1` and renames it, and a server that is killed in
//! between leaves it there. No listing of the store shows them.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::SystemTime;

/// What became of drafts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drafts {
    /// How many were removed.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the youngest of those was written that stay, in epoch milliseconds.
    pub youngest: Option<i64>,
}

/// Removes the drafts directly in a folder that were written before a moment, in epoch
/// milliseconds.
pub(super) fn remove_drafts(folder: &Path, before: i64) -> io::Result<Drafts> {
    let mut drafts = Drafts::default();
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(drafts),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        if !entry.file_name().to_str().is_some_and(is_draft) {
            continue;
        }
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            // It got its name a moment ago.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if !metadata.is_file() {
            continue;
        }
        let written = metadata.modified()?.duration_since(SystemTime::UNIX_EPOCH);
        let written =
            written.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
        if written < before {
            std::fs::remove_file(entry.path())?;
            drafts.files += 1;
            drafts.bytes += metadata.len();
        } else {
            drafts.youngest = drafts.youngest.max(Some(written));
        }
    }
    Ok(drafts)
}

/// Whether a name is one of object_store's for drafts.
fn is_draft(name: &str) -> bool {
    name.rsplit_once('#').is_some_and(|(name, number)| {
        !name.is_empty() && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drafts_by_name() {
        for name in ["part.parquet#1", "00000000000000000007.json#12", "a#b#3"] {
            assert!(is_draft(name), "{name}");
        }
        for name in ["part.parquet", "#1", "part#x", "part#", "part#1.parquet", "#"] {
            assert!(!is_draft(name), "{name}");
        }
    }
}
