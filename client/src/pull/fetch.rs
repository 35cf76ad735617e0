//! Files of a snapshot come from the server: ranges of them side by side, each again where it broke off.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use tokio::sync::Semaphore;

use super::error::PullError;
use super::part::Part;
use super::{Pull, PullEvent, Tell};
use crate::digest::of_file;
use crate::error::ClientError;
use crate::retry::Backoff;
use crate::server::Server;
use crate::snapshots::{FileBody, FileRange};

/// How often a file is fetched whose bytes are not what the manifest names.
const FETCHES: u32 = 3;
/// Bytes that are gathered before they are written.
const GATHERED: usize = 256 * 1024;
/// Bytes that an attempt must bring for those behind it to count from the first again.
const PROGRESS: u64 = 64 * 1024;

/// A file that is wanted: its digest, and its first path, by which people know it.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub path: String,
    pub bytes: u64,
    pub sha256: String,
}

/// Fetches files into the stage.
pub(super) struct Fetch {
    pub server: Server,
    pub snapshot: String,
    pub stage: PathBuf,
    pub pull: Pull,
    pub tell: Tell,
    /// One place for each connection.
    pub turns: Semaphore,
}

impl Fetch {
    /// All of them. Each lies in the stage under its digest then, checked.
    pub async fn all(self: Arc<Self>, wanted: Vec<Wanted>) -> Result<(), PullError> {
        let jobs = self.pull.jobs.max(1);
        let files = futures::stream::iter(wanted);
        let files = files.map(move |file| Arc::clone(&self).file(Arc::new(file)));
        files.buffer_unordered(jobs).try_collect().await
    }

    async fn file(self: Arc<Self>, file: Arc<Wanted>) -> Result<(), PullError> {
        let failed = || PullError::file(&file.path);
        let name = self.stage.join(&file.sha256);
        for _ in 0..FETCHES {
            let part = Part::open(&self.stage, &file.sha256, file.bytes).map_err(failed())?;
            let part = Arc::new(part);
            (self.tell)(PullEvent::Bytes(part.total()));
            Arc::clone(&self).parts(&file, &part).await?;
            let whole = Arc::clone(&part);
            let checked = tokio::task::spawn_blocking(move || {
                whole.sync()?;
                of_file(whole.path())
            });
            let found = checked.await.map_err(std::io::Error::other).flatten().map_err(failed())?;
            if found == file.sha256 {
                part.finish(&name).map_err(failed())?;
                (self.tell)(PullEvent::Fetched(&file.path));
                return Ok(());
            }
            part.discard().map_err(failed())?;
            (self.tell)(PullEvent::Lost(file.bytes));
            (self.tell)(PullEvent::Again { path: &file.path, why: "its digest is wrong" });
        }
        let (path, sha256) = (file.path.clone(), file.sha256.clone());
        Err(PullError::Digest { path, sha256, times: FETCHES })
    }

    /// Brings in what is missing, piece by piece.
    async fn parts(self: Arc<Self>, file: &Arc<Wanted>, part: &Arc<Part>) -> Result<(), PullError> {
        let (step, jobs) = (self.pull.piece.max(1), self.pull.jobs.max(1));
        let pieces = (0..file.bytes.div_ceil(step)).map(|number| {
            let start = number * step;
            start..file.bytes.min(start.saturating_add(step))
        });
        let missing = pieces.filter(|piece| part.first_missing(piece).is_some());
        let missing = futures::stream::iter(missing.collect::<Vec<_>>());
        let (file, part) = (Arc::clone(file), Arc::clone(part));
        let pieces = missing
            .map(move |piece| Arc::clone(&self).piece(Arc::clone(&file), Arc::clone(&part), piece));
        pieces.buffer_unordered(jobs).try_collect().await
    }

    async fn piece(
        self: Arc<Self>,
        file: Arc<Wanted>,
        part: Arc<Part>,
        piece: Range<u64>,
    ) -> Result<(), PullError> {
        let mut backoff = Backoff::new(self.pull.retries);
        while let Some(missing) = part.first_missing(&piece) {
            let before = part.total();
            let turn = self.turns.acquire().await;
            let tried = self.attempt(&file, &part, missing).await;
            drop(turn);
            let error = match tried {
                Ok(()) => continue,
                Err(PullError::Client(error)) => error,
                Err(error) => return Err(error),
            };
            if part.total().saturating_sub(before) >= PROGRESS && self.pull.retries.tries > 1 {
                backoff = Backoff::new(self.pull.retries);
            }
            let Some(pause) = backoff.pause(&error) else {
                return Err(PullError::of_call(&self.snapshot, error));
            };
            let why = error.to_string();
            (self.tell)(PullEvent::Again { path: &file.path, why: &why });
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }

    /// One request. What came of it is kept, however it ends.
    async fn attempt(
        &self,
        file: &Wanted,
        part: &Arc<Part>,
        missing: Range<u64>,
    ) -> Result<(), PullError> {
        let range = FileRange { start: missing.start, end: missing.end, etag: part.etag() };
        let patience = self.pull.patience;
        let asked = self.server.snapshot_file(&self.snapshot, &file.sha256, Some(&range), patience);
        let body = asked.await?;
        let end = match body.partial {
            true => body.end.unwrap_or(missing.end),
            false => part.bytes(),
        };
        if let Some(given) = body.end.filter(|given| *given != end) {
            let (asked, given) = (format!("0 to {end}"), format!("0 to {given}"));
            return Err(ClientError::Range { asked, given }.into());
        }
        // Of a server that gives no ranges, one request brings the file, and the others wait for it.
        let _whole = match body.partial {
            true => None,
            false => match part.whole.try_lock() {
                Ok(whole) => Some(whole),
                Err(_) => {
                    drop(body);
                    let _others = part.whole.lock().await;
                    return Ok(());
                }
            },
        };
        let lost = part.comes_from(body.etag.as_deref());
        let lost = lost.map_err(PullError::file(&file.path))?;
        (self.tell)(PullEvent::Lost(lost));
        self.receive(file, part, body, end).await
    }

    async fn receive(
        &self,
        file: &Wanted,
        part: &Arc<Part>,
        mut body: FileBody,
        end: u64,
    ) -> Result<(), PullError> {
        let mut at = body.start;
        let mut held: Vec<u8> = Vec::new();
        loop {
            let next = body.chunk(self.pull.patience).await;
            let came = match &next {
                Ok(Some(chunk)) => fitting(chunk, end - at - held.len() as u64),
                _ => None,
            };
            if let Some(chunk) = &came {
                held.extend_from_slice(chunk);
            }
            let over = came.is_none();
            if held.len() >= GATHERED || (over && !held.is_empty()) {
                let length = held.len() as u64;
                let new = part.write(at, std::mem::take(&mut held)).await;
                (self.tell)(PullEvent::Bytes(new.map_err(PullError::file(&file.path))?));
                at += length;
            }
            match next {
                Ok(Some(_)) if !over => {}
                Ok(Some(_)) => {
                    let (asked, given) = (format!("up to {end}"), "more".to_owned());
                    return Err(ClientError::Range { asked, given }.into());
                }
                Ok(None) if at == end => return Ok(()),
                Ok(None) => return Err(ClientError::Broken.into()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// A chunk, unless it is more than was asked for.
fn fitting(chunk: &Bytes, room: u64) -> Option<Bytes> {
    (chunk.len() as u64 <= room).then(|| chunk.clone())
}
