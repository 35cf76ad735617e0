//! Where a chain's journal and head are kept: a folder in the state folder, used by one process at
//! a time.
//!
//! ```text
//! <state-dir>/audit/<lake>/<chain>/
//!   lock                          held while a process writes this chain
//!   head.json                     the newest record that is in the table
//!   00000000000000000001.journal  records that are not in the table yet
//!   00000000000000000001.corrupt  a segment in which something could not be read
//! ```
//!
//! `<lake>` stands for the lake's location, so that a state folder may serve several lakes.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::chain::Head;
use super::journal;

const JOURNAL: &str = "journal";
const CORRUPT: &str = "corrupt";
const HEAD: &str = "head.json";

/// A line of a journal that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalFault {
    /// The chain.
    pub chain: String,
    /// The file that was kept.
    pub file: String,
    /// The line; the first is 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// The folder of a chain, held by this process.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    chain: String,
    /// Freed when it is closed, also by a kill.
    _lock: File,
}

/// The folder of all chains of a lake.
pub(super) fn of_lake(state_dir: &Path, location: &str) -> PathBuf {
    let lake = hex::encode(&Sha256::digest(location)[..8]);
    state_dir.join("audit").join(lake)
}

/// The chains that have a folder.
fn chains(root: &Path) -> io::Result<Vec<String>> {
    let mut chains = Vec::new();
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(chains),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            chains.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    chains.sort();
    Ok(chains)
}

/// The newest record of each chain, as it was kept here.
pub(super) fn heads(root: &Path) -> io::Result<Vec<(String, Head)>> {
    let mut heads = Vec::new();
    for chain in chains(root)? {
        if let Some(head) = read_head(&root.join(&chain))? {
            heads.push((chain, head));
        }
    }
    Ok(heads)
}

/// The lines of all chains that could not be read.
pub(super) fn faults(root: &Path) -> io::Result<Vec<JournalFault>> {
    let mut faults = Vec::new();
    for chain in chains(root)? {
        let folder = root.join(&chain);
        for number in numbers(&folder, CORRUPT)? {
            let file = segment_name(number, CORRUPT);
            for fault in journal::read(&folder.join(&file))?.faults {
                let (chain, file) = (chain.clone(), file.clone());
                let reason = fault.reason.to_owned();
                faults.push(JournalFault { chain, file, line: fault.line, reason });
            }
        }
    }
    Ok(faults)
}

impl Folder {
    /// Takes every chain that no process holds.
    pub fn free(root: &Path) -> io::Result<Vec<Self>> {
        let mut free = Vec::new();
        for chain in chains(root)? {
            free.extend(Self::hold(root, chain)?);
        }
        Ok(free)
    }

    /// Begins a chain.
    pub fn make(root: &Path) -> io::Result<Self> {
        let chain = Uuid::new_v4().simple().to_string();
        fs::create_dir_all(root.join(&chain))?;
        sync(root)?;
        let held = Self::hold(root, chain)?;
        held.ok_or_else(|| io::Error::other("a new folder is held by another process"))
    }

    fn hold(root: &Path, chain: String) -> io::Result<Option<Self>> {
        let path = root.join(&chain);
        let lock = File::options().create(true).append(true).open(path.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self { path, chain, _lock: lock })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    pub fn chain(&self) -> &str {
        &self.chain
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The numbers of the segments, lowest first.
    pub fn segments(&self) -> io::Result<Vec<u64>> {
        numbers(&self.path, JOURNAL)
    }

    pub fn segment(&self, number: u64) -> PathBuf {
        self.path.join(segment_name(number, JOURNAL))
    }

    /// Makes a segment, which must not be there.
    pub fn make_segment(&self, number: u64) -> io::Result<File> {
        let mut options = File::options();
        options.append(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(self.segment(number))?;
        sync(&self.path)?;
        Ok(file)
    }

    /// Keeps a segment in which something cannot be read.
    pub fn keep(&self, number: u64) -> io::Result<()> {
        let kept = self.path.join(segment_name(number, CORRUPT));
        match fs::hard_link(self.segment(number), kept) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => sync(&self.path),
        }
    }

    /// Removes a segment. Synced, so that no later one is gone while this is still there.
    pub fn remove_segment(&self, number: u64) -> io::Result<()> {
        match fs::remove_file(self.segment(number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => sync(&self.path),
        }
    }

    /// The newest record that is in the table.
    pub fn head(&self) -> io::Result<Option<Head>> {
        read_head(&self.path)
    }

    /// Keeps the newest record that is in the table; the file changes as a whole.
    pub fn write_head(&self, head: &Head) -> io::Result<()> {
        let draft = self.path.join(".head");
        let mut file = File::create(&draft)?;
        file.write_all(&serde_json::to_vec(head)?)?;
        file.sync_all()?;
        fs::rename(&draft, self.path.join(HEAD))?;
        sync(&self.path)
    }
}

fn read_head(folder: &Path) -> io::Result<Option<Head>> {
    match fs::read(folder.join(HEAD)) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn segment_name(number: u64, ending: &str) -> String {
    format!("{number:020}.{ending}")
}

fn numbers(folder: &Path, ending: &str) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|found| found == ending) {
            numbers.extend(path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok()));
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Makes what happened to a folder's entries outlast a power loss.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
