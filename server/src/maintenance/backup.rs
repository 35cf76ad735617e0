//! A copy of a lake while it is in use, from which a server can go on.
//!
//! Nothing holds writers up, so that the parts of the copy are of different moments; each is of one at
//! which what it relies on was there:
//!
//! 1. The server's own objects (`system/`) before the tables: work that was done since is done again,
//!    and finds that it was; what a later state of them says to be done would not be in the tables.
//! 2. The logs of tables, a derived one before its sources: it has read nothing that they lack.
//! 3. Data files, which never change. Those that the copy has are not copied again, so that a backup
//!    goes on where it was cut short, and one that is brought up to date costs what is new. No pin keeps
//!    them: an erasure must not wait for a backup, least of all for one that was cut short.
//! 4. What the lake has no more is removed from the copy: a purge is a purge there, too.
//!
//! A purge or a snapshot that ends meanwhile may have taken away what was copied before, and files may go
//! between the look at a log and theirs: all of it is done once more then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::Utc;
use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use crate::lake::{Lake, LakeError};
use crate::pipeline::{Pipeline, Zone};

/// Says in a copy how far it is.
const MARK: &str = "system/backup.json";
/// What makes a folder a lake.
const LAKE: &str = "system/lake.json";
/// The server's own objects that are of no use in a copy: who holds what at the moment, results that
/// are kept for hours, what opening a lake leaves.
const NOT: [&str; 4] = ["system/leases/", "system/statements/", "system/lent/", "system/probe"];
/// Objects whose change means that something was taken away.
const TAKEN: [&str; 2] = ["system/purges", "system/snapshots/records"];
/// Objects that are copied at the same time.
const AT_ONCE: usize = 8;
/// How often it is done once more because something was taken away.
const ROUNDS: usize = 5;

/// How far a copy is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyState {
    /// The lake that it is a copy of.
    pub of: String,
    /// When it was begun, in epoch milliseconds.
    pub begun: i64,
    /// When it was whole, in epoch milliseconds; none as long as it is not.
    pub whole: Option<i64>,
}

impl CopyState {
    /// What a lake says of itself; nothing if it is no copy.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn of(lake: &Lake) -> Result<Option<Self>, BackupError> {
        let Some(bytes) = lake.read_object(MARK).await? else { return Ok(None) };
        let unreadable = |error: serde_json::Error| LakeError::Unreadable {
            path: MARK.to_owned(),
            reason: error.to_string(),
        };
        Ok(Some(serde_json::from_slice(&bytes).map_err(unreadable)?))
    }

    /// Makes a whole copy a lake of its own, which no backup overwrites any more.
    ///
    /// # Errors
    /// [`BackupError::NotWhole`]
    pub async fn become_a_lake(self, lake: &Lake) -> Result<(), BackupError> {
        if self.whole.is_none() {
            return Err(BackupError::NotWhole { at: lake.location().to_string() });
        }
        Ok(lake.remove_object(MARK).await?)
    }

    async fn write(&self, to: &Lake) -> Result<(), BackupError> {
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        Ok(to.put_object(MARK, bytes).await?)
    }
}

/// Why there is no backup, or no lake from one.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// It would be overwritten.
    #[error("{at} has a lake or other files, and is no backup: nothing was written")]
    NoBackup {
        /// Where.
        at: String,
    },
    /// It is a backup of something else.
    #[error("{at} is a backup of {of}: nothing was written")]
    OfAnother {
        /// Where.
        at: String,
        /// Of which lake.
        of: String,
    },
    /// One lies in the other.
    #[error("a lake cannot be copied into itself")]
    Itself,
    /// A copy that was not finished.
    #[error("{at} is a backup that is not whole; run it again, then start from it")]
    NotWhole {
        /// Where.
        at: String,
    },
    /// Too much was taken away meanwhile.
    #[error("files went again and again while they were copied; run it again")]
    Contended,
    /// The copy is not what it must be.
    #[error("the copy lacks {path}, which a table in it has")]
    Lacks {
        /// The file.
        path: String,
    },
    /// A lake.
    #[error(transparent)]
    Lake(#[from] LakeError),
}

/// What a backup did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BackedUp {
    /// Objects that were copied.
    pub copied: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that the copy had.
    pub kept: u64,
    /// Objects that were removed from the copy.
    pub removed: u64,
    /// The version of each table in the copy.
    pub tables: BTreeMap<String, u64>,
}

/// A backup of a lake to another place.
#[derive(Clone, Debug)]
pub struct Backup {
    lake: Lake,
    to: Lake,
    /// Folders of tables, a derived one before its sources.
    tables: Vec<(&'static str, String)>,
    copied: Arc<AtomicU64>,
    bytes: Arc<AtomicU64>,
}

/// What one pass found.
#[derive(Default)]
struct Pass {
    /// All that the copy is to have.
    seen: BTreeSet<String>,
    kept: u64,
}

impl Backup {
    /// Of a lake with a pipeline's tables and the server's own.
    ///
    /// # Errors
    /// [`BackupError::Itself`], [`BackupError::NoBackup`], [`BackupError::OfAnother`].
    pub async fn new(
        lake: Lake,
        pipeline: &Pipeline,
        own: &[&str],
        to: Lake,
    ) -> Result<Self, BackupError> {
        let (from, at) = (lake.location().url().as_str(), to.location().url().as_str());
        if from.starts_with(at) || at.starts_with(from) {
            return Err(BackupError::Itself);
        }
        let at = to.location().to_string();
        match CopyState::of(&to).await? {
            Some(state) if state.of == lake.location().to_string() => {}
            Some(CopyState { of, .. }) => return Err(BackupError::OfAnother { at, of }),
            None => {
                let found = to.objects_below("").await?;
                let other = |path: &str| path != LAKE && !path.starts_with("system/probe");
                if found.iter().any(|object| other(&object.path)) {
                    return Err(BackupError::NoBackup { at });
                }
            }
        }
        let declared = pipeline.tables();
        let declared = declared.iter().rev().map(|table| (table.zone.name(), table.name.clone()));
        let own = own.iter().map(|name| (Zone::System.name(), (*name).to_owned()));
        let tables = declared.chain(own).collect();
        let (copied, bytes) = (Arc::default(), Arc::default());
        Ok(Self { lake, to, tables, copied, bytes })
    }

    /// Objects and bytes that were copied so far.
    pub fn so_far(&self) -> (u64, u64) {
        (self.copied.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }

    /// Makes the copy, or brings one up to date.
    ///
    /// # Errors
    /// [`BackupError::Contended`], [`BackupError::Lacks`], or if a lake cannot be read or written. The
    /// copy is not whole then; run again, it goes on.
    pub async fn run(&self) -> Result<BackedUp, BackupError> {
        let of = self.lake.location().to_string();
        let mut state = CopyState { of, begun: Utc::now().timestamp_millis(), whole: None };
        state.write(&self.to).await?;
        let done = self.rounds().await?;
        state.whole = Some(Utc::now().timestamp_millis());
        state.write(&self.to).await?;
        Ok(done)
    }

    async fn rounds(&self) -> Result<BackedUp, BackupError> {
        for _ in 0..ROUNDS {
            let before = self.taken().await?;
            let pass = self.pass().await?;
            let removed = self.mirror(&pass.seen).await?;
            if self.taken().await? != before {
                continue;
            }
            let Some(tables) = self.check().await? else { continue };
            let (copied, bytes) = self.so_far();
            return Ok(BackedUp { copied, bytes, kept: pass.kept, removed, tables });
        }
        Err(BackupError::Contended)
    }

    /// What changes when something is taken away.
    async fn taken(&self) -> Result<BTreeSet<(String, i64)>, BackupError> {
        let mut all = BTreeSet::new();
        for folder in TAKEN {
            let found = self.lake.objects_below(folder).await?;
            all.extend(found.into_iter().map(|object| (object.path, object.written)));
        }
        Ok(all)
    }

    async fn pass(&self) -> Result<Pass, BackupError> {
        let mut pass = Pass::default();
        pass.seen.insert(MARK.to_owned());
        let is_table = |path: &str| {
            let below = |(folder, name): &(&str, String)| {
                let rest = path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'));
                rest.and_then(|rest| rest.strip_prefix(name.as_str()))
                    .is_some_and(|rest| rest.starts_with('/'))
            };
            self.tables.iter().any(below)
        };
        let own = self.lake.objects_below("system").await?.into_iter();
        let own = own.map(|object| object.path).filter(|path| {
            !is_table(path) && path != MARK && !NOT.iter().any(|not| path.starts_with(not))
        });
        self.copy(own.collect(), &mut pass).await?;
        for (folder, name) in &self.tables {
            let log = format!("{folder}/{name}/_delta_log");
            // It names a checkpoint that is there; a newer one would name one that is not listed.
            self.copy(vec![format!("{log}/_last_checkpoint")], &mut pass).await?;
            let all = self.lake.objects_below(&log).await?.into_iter().map(|object| object.path);
            let all = all.filter(|path| !path.ends_with("/_last_checkpoint")).collect();
            self.copy(all, &mut pass).await?;
        }
        let mut data = vec!["snapshots".to_owned()];
        data.extend(self.tables.iter().map(|(folder, name)| format!("{folder}/{name}")));
        for folder in data {
            let had: BTreeMap<String, u64> = self.in_copy(&folder).await?;
            let all = self.lake.objects_below(&folder).await?.into_iter();
            let (mut new, log) = (Vec::new(), format!("{folder}/_delta_log/"));
            for object in all.filter(|object| !object.path.starts_with(&log)) {
                match had.get(&object.path) == Some(&object.bytes) {
                    true => {
                        pass.kept += 1;
                        pass.seen.insert(object.path);
                    }
                    false => new.push(object.path),
                }
            }
            self.copy(new, &mut pass).await?;
        }
        Ok(pass)
    }

    async fn in_copy(&self, folder: &str) -> Result<BTreeMap<String, u64>, BackupError> {
        let found = self.to.objects_below(folder).await?;
        Ok(found.into_iter().map(|object| (object.path, object.bytes)).collect())
    }

    async fn copy(&self, paths: Vec<String>, pass: &mut Pass) -> Result<(), BackupError> {
        let copies = paths.into_iter().map(|path| async move {
            let bytes = self.lake.copy_object(&self.to, &path).await?;
            if let Some(bytes) = bytes {
                self.copied.fetch_add(1, Ordering::Relaxed);
                self.bytes.fetch_add(bytes, Ordering::Relaxed);
            }
            Ok::<_, BackupError>(bytes.map(|_| path))
        });
        let mut copies = futures::stream::iter(copies).buffer_unordered(AT_ONCE);
        while let Some(copied) = copies.try_next().await? {
            pass.seen.extend(copied);
        }
        Ok(())
    }

    /// Removes from the copy what the lake did not have.
    async fn mirror(&self, seen: &BTreeSet<String>) -> Result<u64, BackupError> {
        let mut removed = 0;
        for object in self.to.objects_below("").await? {
            if !seen.contains(&object.path) {
                self.to.remove_object(&object.path).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Opens every table of the copy, and looks whether its files are there; their versions, or nothing
    /// if something was taken away meanwhile.
    async fn check(&self) -> Result<Option<BTreeMap<String, u64>>, BackupError> {
        let mut versions = BTreeMap::new();
        for (folder, name) in &self.tables {
            let had = self.in_copy(&format!("{folder}/{name}")).await?;
            if had.is_empty() {
                continue;
            }
            let Some(table) = self.to.table(folder, name).await? else { return Ok(None) };
            for part in table.parts(folder)? {
                if had.get(&part.path) == Some(&part.bytes) {
                    continue;
                }
                // Committed behind the list of files, or taken away.
                if self.lake.copy_object(&self.to, &part.path).await? != Some(part.bytes) {
                    return match self.lake.object_bytes(&part.path).await? {
                        None => Ok(None),
                        Some(_) => Err(BackupError::Lacks { path: part.path }),
                    };
                }
            }
            versions.insert(name.clone(), table.version());
        }
        Ok(Some(versions))
    }
}
