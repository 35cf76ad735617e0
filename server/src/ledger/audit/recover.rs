//! Reads a chain's journal back after its server ended.

use std::collections::BTreeMap;
use std::fs::File;

use super::chain::Head;
use super::error::AuditError;
use super::folder::Folder;
use super::journal::{self, Entry};
use super::record::Facts;

/// What a journal says.
#[derive(Debug)]
pub(super) struct Recovered {
    /// The newest record.
    pub head: Head,
    /// The newest record that was known to be in the table.
    pub kept: Head,
    /// Actions that began and did not end, in the order in which they began.
    pub interrupted: Vec<Facts>,
    /// Its segments with their bytes, lowest first.
    pub segments: Vec<(u64, u64)>,
}

/// Reads the journal of a chain and cuts off what a crash tore at its end.
///
/// # Errors
/// If a file cannot be read or cut.
pub(super) fn recover(folder: &Folder) -> Result<Recovered, AuditError> {
    let failed = || AuditError::file(folder.path());
    let kept = folder.head().map_err(failed())?.unwrap_or_else(Head::none);
    let mut recovered =
        Recovered { head: kept.clone(), kept, interrupted: Vec::new(), segments: Vec::new() };
    let mut begun = BTreeMap::new();
    let numbers = folder.segments().map_err(failed())?;
    for number in &numbers {
        let file = folder.segment(*number);
        let segment = journal::read(&file).map_err(AuditError::file(&file))?;
        if segment.torn > 0 && numbers.last() == Some(number) {
            let cut = File::options().write(true).open(&file).and_then(|file| {
                file.set_len(segment.whole)?;
                file.sync_all()
            });
            cut.map_err(AuditError::file(&file))?;
            tracing::info!(
                bytes = segment.torn,
                "the audit's journal was cut where a crash tore it"
            );
        }
        for entry in segment.entries {
            match entry {
                Entry::Begin(facts) => {
                    begun.insert(facts.id.clone(), facts);
                }
                Entry::Row(row) => {
                    begun.remove(&row.facts.id);
                    if row.seq > recovered.head.seq {
                        recovered.head = Head { seq: row.seq, hash: row.hash };
                    }
                }
            }
        }
        recovered.segments.push((*number, segment.whole));
    }
    recovered.interrupted = begun.into_values().collect();
    Ok(recovered)
}
