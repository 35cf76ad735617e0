//! Files of a shared table: which there are, and one of them.

use std::collections::{BTreeSet, HashSet};

use chrono::Utc;
use sha2::{Digest, Sha256};

use super::error::SharingError;
use super::hints::Hints;
use super::moment::time;
use super::projected::Made;
use super::shares::{SharedTable, Sharing};
use super::ticket::Ticket;
use crate::auth::Principal;
use crate::lake::{Became, DataFiles};
use crate::ledger::{DenyError, DenyList, Hidden, Reading};
use crate::pipeline::Zone;
use crate::query::{Moment, QueryError};

/// Commits whose changes are given in one answer.
const COMMITS: u64 = 1000;

/// A file that can be fetched.
#[derive(Clone, Debug)]
pub struct FileOf {
    /// What became of its rows; `None` where it is a file of a version of the table.
    pub became: Option<Became>,
    /// The same for the same file.
    pub id: String,
    /// The part of its URL that is signed.
    pub token: String,
    /// Its bytes as they are given.
    pub bytes: u64,
    /// Its rows, where that is known.
    pub rows: Option<u64>,
    /// The version that it is of.
    pub version: u64,
    /// When that was made, in epoch milliseconds, where that is known.
    pub millis: Option<i64>,
    /// Until when the URL holds, in epoch milliseconds.
    pub until: i64,
}

/// Files, and whether they may still be given.
#[derive(Clone, Debug)]
pub struct Files {
    /// The files.
    pub files: Vec<FileOf>,
    /// To be asked before they are.
    pub reading: Reading,
}

/// The bytes of a file.
#[derive(Clone, Debug)]
pub enum Bytes {
    /// As they are in the lake: path below its root, and how many.
    Stored(String, u64),
    /// Made for it.
    Made(Made),
}

/// A file that somebody fetches.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// To whom its URL was given.
    pub principal: Principal,
    /// The table.
    pub table: String,
    /// The version that it is of.
    pub version: u64,
    /// The same for the same bytes.
    pub tag: String,
    /// Its bytes.
    pub bytes: Bytes,
    /// To be asked before any of them leaves.
    pub reading: Reading,
}

/// The first and the last version whose changes are asked for.
#[derive(Clone, Debug, Default)]
pub struct Span {
    /// From this version on.
    pub from: Option<u64>,
    /// From the first version at or after this time on.
    pub from_time: Option<String>,
    /// Up to this version.
    pub to: Option<u64>,
    /// Up to the last version at or before this time.
    pub to_time: Option<String>,
}

impl Sharing {
    /// The files of a version of a table: those that may hold rows which meet a condition, with as many
    /// rows as are enough.
    ///
    /// # Errors
    /// [`DenyError::Changed`] while rows of a file may not be given.
    pub async fn files(
        &self,
        shared: &SharedTable,
        principal: &Principal,
        condition: Option<&str>,
        enough: Option<u64>,
    ) -> Result<Files, SharingError> {
        let list = self.0.deny.current().await?;
        let version = shared.table.version();
        let (mut files, mut rows) = (Vec::new(), 0);
        let all = shared.table.files()?;
        let millis = shared.table.committed_at().await?;
        let hints = Hints::parse(condition);
        for file in all.each().filter(|file| hints.may_hold(file, &shared.keep)) {
            if enough.is_some_and(|enough| rows >= enough) {
                break;
            }
            refuse(&list, shared, version, &file)?;
            let given = self.given(shared, principal, &file, version, None).await?;
            rows += file.rows();
            files.push(FileOf { millis, ..given.ok_or(SharingError::Gone)? });
        }
        Ok(Files { files, reading: self.reading(&list, shared, version) })
    }

    /// The files with the rows that came and went in some versions, oldest first; with the first of
    /// these.
    ///
    /// # Errors
    /// [`SharingError::NoChanges`] where they cannot all be told; [`DenyError::Changed`] while rows
    /// of a file may not be given.
    pub async fn changes(
        &self,
        shared: &SharedTable,
        principal: &Principal,
        span: &Span,
    ) -> Result<(u64, Files), SharingError> {
        let table = &shared.table;
        let (first, last) = self.span(shared, span).await?;
        let untold = |reason: String| {
            let table = table.name().to_owned();
            SharingError::NoChanges { table, reason }
        };
        if last.saturating_sub(first) >= COMMITS {
            return Err(untold(format!("more than {COMMITS} versions at once")));
        }
        // Files of a change hold rows of the version before it.
        let purged = self.0.lake.purged(table.name()).await?;
        if let Some(purged) = purged.filter(|purged| first <= purged.version && first > 0) {
            let version = purged.version;
            return Err(untold(format!("what was before version {version} was removed for good")));
        }
        let list = self.0.deny.current().await?;
        let times = table.commits().await?;
        let mut files = Vec::new();
        for version in first..=last {
            let changed = table.changed_rows(version).await?;
            let gone = || untold(format!("version {version} is not in the log any more"));
            let changed = changed.ok_or_else(gone)?;
            if changed.other_columns {
                return Err(untold(format!("columns changed with version {version}")));
            }
            let at = times.iter().find(|commit| commit.version == version);
            let millis = at.map(|commit| commit.millis);
            for (became, all) in &changed.files {
                for file in all.each() {
                    refuse(&list, shared, version.saturating_sub(1), &file)?;
                    let given =
                        self.given(shared, principal, &file, version, Some(*became)).await?;
                    let gone =
                        || untold(format!("files of version {version} are not there any more"));
                    files.push(FileOf { millis, ..given.ok_or_else(gone)? });
                }
            }
        }
        Ok((first, Files { files, reading: self.reading(&list, shared, first.saturating_sub(1)) }))
    }

    /// The file of a URL.
    ///
    /// # Errors
    /// [`SharingError::Url`] for one that is not ours or has expired; [`SharingError::Gone`] if the
    /// file is; [`QueryError::Purged`] if its version is; [`DenyError::Changed`] while it may hold rows
    /// that are not given.
    pub async fn fetch(&self, token: &str) -> Result<Fetched, SharingError> {
        let ticket = self.0.signer.check(token, Utc::now().timestamp_millis())?;
        let principal = ticket.principal();
        let (moment, version) = (Moment::Version(ticket.version), ticket.version);
        let mut zones = self.schemas(&principal).into_iter();
        let zone = self.0.pipeline.tables().into_iter().find(|table| table.name == ticket.table);
        let zone = zone.and_then(|table| zones.find(|zone| *zone == table.zone));
        let zone: Zone = zone.ok_or_else(|| QueryError::UnknownTable(ticket.table.clone()))?;
        let shared = self.table(&principal, zone, &ticket.table, Some(moment)).await?;
        let list = self.0.deny.current().await?;
        let (file, holds) = match ticket.changes {
            false => (shared.table.files()?.named(&ticket.file), version),
            true => (self.changed(&shared, &ticket).await?, version.saturating_sub(1)),
        };
        let file = file.ok_or(SharingError::Gone)?;
        refuse(&list, &shared, holds, &file)?;
        let reading = self.reading(&list, &shared, holds);
        let name = &ticket.file;
        let (bytes, tag) = match shared.whole {
            true => (Bytes::Stored(path(&shared, name), file.bytes()), id(&shared, name)),
            false => {
                let made = self.0.projected.get(&shared.table, name, &shared.keep).await?;
                let made = made.ok_or(SharingError::Gone)?;
                let tag = hex::encode(made.sha256);
                (Bytes::Made(made), tag)
            }
        };
        let table = ticket.table;
        Ok(Fetched { principal, table, version, tag, bytes, reading })
    }

    /// The file of changes that a ticket names.
    async fn changed(
        &self,
        shared: &SharedTable,
        ticket: &Ticket,
    ) -> Result<Option<DataFiles>, SharingError> {
        let version = ticket.version;
        let purged = self.0.lake.purged(&ticket.table).await?;
        if purged.is_some_and(|purged| version <= purged.version && version > 0) {
            return Err(SharingError::Gone);
        }
        let changed = shared.table.changed_rows(version).await?.ok_or(SharingError::Gone)?;
        Ok(changed.files.iter().find_map(|(_, files)| files.named(&ticket.file)))
    }

    /// A file as it is given to somebody; `None` if it is not there any more.
    async fn given(
        &self,
        shared: &SharedTable,
        principal: &Principal,
        file: &DataFiles,
        version: u64,
        became: Option<Became>,
    ) -> Result<Option<FileOf>, SharingError> {
        let Some(name) = file.iter().next().map(|file| file.name().to_owned()) else {
            return Ok(None);
        };
        let bytes = match (shared.whole, became) {
            (true, None) => Some(file.bytes()),
            // The log does not always say how large such a file is, and it may be gone.
            (true, Some(_)) => self.0.lake.object_bytes(&path(shared, &name)).await?,
            (false, _) => {
                let made = self.0.projected.get(&shared.table, &name, &shared.keep).await?;
                made.map(|made| made.bytes.len() as u64)
            }
        };
        let Some(bytes) = bytes else { return Ok(None) };
        let holds = i64::try_from(self.0.rules.holds.as_millis()).unwrap_or(i64::MAX);
        let until = Utc::now().timestamp_millis().saturating_add(holds);
        let token = self.0.signer.sign(&Ticket {
            table: shared.table.name().to_owned(),
            version,
            file: name.clone(),
            changes: became.is_some(),
            principal: principal.subject.clone(),
            roles: principal.roles.iter().map(|role| role.name().to_owned()).collect(),
            until,
        })?;
        let (id, rows) = (id(shared, &name), Some(file.rows()).filter(|rows| *rows > 0));
        Ok(Some(FileOf { became, id, token, bytes, rows, version, millis: None, until }))
    }

    fn reading(&self, list: &DenyList, shared: &SharedTable, version: u64) -> Reading {
        Reading::new(self.0.deny.clone(), list.seq(), shared.seen(version).into_iter().collect())
    }

    /// The first and the last version of a span.
    async fn span(&self, shared: &SharedTable, span: &Span) -> Result<(u64, u64), SharingError> {
        let malformed = |text: &str| Err(SharingError::Malformed(text.to_owned()));
        let newest = shared.table.version();
        let first = match (span.from, &span.from_time) {
            (Some(_), Some(_)) => {
                return malformed("startingVersion or startingTimestamp, not both");
            }
            (None, None) => return malformed("startingVersion or startingTimestamp is missing"),
            (Some(version), None) => version,
            (None, Some(text)) => self.since(shared, "startingTimestamp", text).await?,
        };
        let last = match (span.to, &span.to_time) {
            (Some(_), Some(_)) => return malformed("endingVersion or endingTimestamp, not both"),
            (None, None) => newest,
            (Some(version), None) => version,
            (None, Some(text)) => {
                let until = time("endingTimestamp", text)?;
                let commits = shared.table.commits().await?;
                let last = commits.iter().rev().find(|commit| commit.millis <= until);
                match last {
                    Some(commit) => commit.version,
                    None => return malformed("there is no version at or before endingTimestamp"),
                }
            }
        };
        match first <= last && last <= newest {
            true => Ok((first, last)),
            false => {
                let text = format!("versions {first} to {last}: the newest version is {newest}");
                Err(SharingError::Malformed(text))
            }
        }
    }

    /// The earliest version at or after a time.
    ///
    /// # Errors
    /// [`SharingError::Malformed`] if there is none.
    pub async fn since(
        &self,
        shared: &SharedTable,
        name: &str,
        text: &str,
    ) -> Result<u64, SharingError> {
        let since = time(name, text)?;
        let purged = self.0.lake.purged(shared.table.name()).await?;
        let oldest = purged.map_or(0, |purged| purged.version);
        let commits = shared.table.readable().await?;
        let mut commits = commits.iter().filter(|commit| commit.version >= oldest);
        let found = commits.find(|commit| commit.millis >= since);
        found.map(|commit| commit.version).ok_or_else(|| {
            SharingError::Malformed(format!("there is no version at or after {name}"))
        })
    }
}

/// Nothing, unless a file may hold rows of a version that are not to be given.
fn refuse(
    list: &DenyList,
    shared: &SharedTable,
    version: u64,
    file: &DataFiles,
) -> Result<(), DenyError> {
    let hidden = shared.seen(version).and_then(|seen| list.hidden(&seen));
    match hidden.is_some_and(|hidden| may_hold(shared, file, &hidden)) {
        true => Err(DenyError::Changed),
        false => Ok(()),
    }
}

/// Whether a file may hold rows of somebody who is hidden, by what the log says of it.
fn may_hold(shared: &SharedTable, file: &DataFiles, hidden: &Hidden) -> bool {
    let belongs = &shared.belongs;
    let holds = |column: &Option<String>, values: &HashSet<String>| {
        let values: BTreeSet<String> = values.iter().cloned().collect();
        column.as_ref().is_some_and(|column| !file.holding(column, &values).is_empty())
    };
    belongs.anybody
        || holds(&belongs.subject, &hidden.subjects)
        || holds(&belongs.device, &hidden.devices)
}

/// Where a file is below the lake's root.
fn path(shared: &SharedTable, name: &str) -> String {
    format!("{}/{}/{name}", shared.zone.name(), shared.table.name())
}

/// The same for the same file: no other file of a table ever has its name.
fn id(shared: &SharedTable, name: &str) -> String {
    let digest = Sha256::digest(path(shared, name));
    hex::encode(digest.get(..16).unwrap_or(&digest))
}
