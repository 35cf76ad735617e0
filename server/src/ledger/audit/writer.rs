//! The thread that writes the journal: everything that waits goes into one frame and is synced
//! once.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::chain::Head;
use super::error::AuditError;
use super::folder::Folder;
use super::journal::{self, Entry};
use super::record::Facts;
use super::recover::Recovered;

/// Messages that are written as one frame at most.
const FRAME_MESSAGES: usize = 512;
/// Bytes after which a segment is ended: what a flush holds in memory.
const SEGMENT_BYTES: u64 = 4 * 1024 * 1024;
/// How long records that must not be lost wait for the disk before they are tried again.
const AGAIN: Duration = Duration::from_millis(500);
/// Records of actions from which nothing left that may wait for the disk.
const WAITING: usize = 10_000;

pub(super) type Ack = oneshot::Sender<Result<(), AuditError>>;

/// What the thread is told.
pub(super) enum Message {
    /// Something may leave once this is written.
    Begin(Box<Facts>, Ack),
    /// A record. Refused where it cannot be written, if `required` is not set.
    End {
        facts: Box<Facts>,
        /// Something may have left: the record is kept until it can be written.
        required: bool,
        /// Nobody waits where there is none.
        ack: Option<Ack>,
    },
    /// Ends the segment; the answer is the numbers of those that are ended.
    Rotate(oneshot::Sender<Vec<u64>>),
    /// The segments up to this one are in the table.
    Trim(u64, oneshot::Sender<io::Result<()>>),
}

/// What the journal may hold, and how safe it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub sync: bool,
    pub bytes: u64,
}

struct Current {
    number: u64,
    file: File,
    bytes: u64,
    /// The file ends with part of a frame that could not be written.
    torn: bool,
}

struct Writer {
    folder: Arc<Folder>,
    limits: Limits,
    head: Head,
    progress: watch::Sender<i64>,
    current: Option<Current>,
    /// Ended segments with their bytes, lowest first.
    ended: Vec<(u64, u64)>,
    next: u64,
    /// Actions that began and did not end: their segment and what will be said of them.
    open: HashMap<String, (u64, Facts)>,
    /// Records that could not be written yet.
    waiting: Vec<Ending>,
}

struct Ending {
    facts: Facts,
    /// Something may have left.
    required: bool,
    /// Somebody waits, who is refused where it cannot be written.
    awaited: bool,
}

/// Starts the thread; it ends when all senders are gone. `progress` is the newest record's place.
///
/// # Errors
/// If there cannot be another thread.
pub(super) fn start(
    folder: Arc<Folder>,
    recovered: Recovered,
    limits: Limits,
) -> io::Result<(Sender<Message>, watch::Receiver<i64>)> {
    let (send, receive) = std::sync::mpsc::channel();
    let (progress, seen) = watch::channel(recovered.head.seq);
    let next = recovered.segments.last().map_or(1, |(number, _)| number + 1);
    let unfinished = recovered.interrupted.iter();
    let open = unfinished.map(|facts| (facts.id.clone(), (0, facts.clone()))).collect();
    let waiting = recovered.interrupted.into_iter();
    let waiting = waiting.map(|facts| Ending { facts, required: true, awaited: false }).collect();
    let mut writer = Writer {
        folder,
        limits,
        head: recovered.head,
        progress,
        current: None,
        ended: recovered.segments,
        next,
        open,
        waiting,
    };
    std::thread::Builder::new()
        .name("audit journal".to_owned())
        .spawn(move || writer.run(&receive))?;
    Ok((send, seen))
}

impl Writer {
    fn run(&mut self, messages: &Receiver<Message>) {
        // What the last server left unfinished comes first.
        self.write(Vec::new());
        loop {
            let first = match self.waiting.is_empty() {
                true => messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
                false => messages.recv_timeout(AGAIN),
            };
            let first = match first {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return self.write(Vec::new()),
            };
            let mut batch = Vec::new();
            let mut control = None;
            let others = std::iter::from_fn(|| messages.try_recv().ok());
            for message in first.into_iter().chain(others) {
                match message {
                    Message::Rotate(_) | Message::Trim(..) => {
                        control = Some(message);
                        break;
                    }
                    message => batch.push(message),
                }
                if batch.len() >= FRAME_MESSAGES {
                    break;
                }
            }
            self.write(batch);
            match control {
                Some(Message::Rotate(reply)) => {
                    self.rotate();
                    // Whoever asked may have gone; then nobody needs to know.
                    let _ = reply.send(self.ended.iter().map(|(number, _)| *number).collect());
                }
                Some(Message::Trim(number, reply)) => {
                    let _ = reply.send(self.trim(number));
                }
                _ => {}
            }
        }
    }

    /// Writes what waits and what is new as one frame, and tells whoever waits for it.
    fn write(&mut self, batch: Vec<Message>) {
        let full = self.bytes() >= self.limits.bytes;
        let mut entries = Vec::new();
        let mut acks = Vec::new();
        let mut begun = Vec::new();
        let mut ending = std::mem::take(&mut self.waiting);
        for message in batch {
            match message {
                Message::Begin(_, ack) | Message::End { required: false, ack: Some(ack), .. }
                    if full =>
                {
                    let _ = ack.send(Err(AuditError::Full));
                }
                // Nothing left, and nobody is told that it did.
                Message::End { required: false, ack: None, .. } if full => {}
                Message::Begin(facts, ack) => {
                    entries.push(Entry::Begin((*facts).clone()));
                    begun.push(*facts);
                    acks.push(ack);
                }
                Message::End { facts, required, ack } => {
                    ending.push(Ending { facts: *facts, required, awaited: ack.is_some() });
                    acks.extend(ack);
                }
                Message::Rotate(_) | Message::Trim(..) => {}
            }
        }
        let mut head = self.head.clone();
        for ending in &ending {
            let (next, row) = head.seal(self.folder.chain(), ending.facts.clone());
            head = next;
            entries.push(Entry::Row(row));
        }
        if entries.is_empty() {
            return;
        }
        match self.append(&entries) {
            Ok(segment) => {
                self.open.extend(begun.into_iter().map(|f| (f.id.clone(), (segment, f))));
                for ending in &ending {
                    self.open.remove(&ending.facts.id);
                }
                self.head = head;
                self.progress.send_replace(self.head.seq);
                for ack in acks {
                    let _ = ack.send(Ok(()));
                }
            }
            Err(error) => {
                tracing::error!(%error, records = ending.len(), "the audit's journal cannot be written");
                let mut spare = WAITING;
                ending.retain(|ending| {
                    let spared = !ending.awaited && spare > 0;
                    spare -= usize::from(spared);
                    ending.required || spared
                });
                self.waiting = ending;
                for ack in acks {
                    let _ = ack.send(Err(AuditError::Unwritable));
                }
            }
        }
    }

    /// Appends a frame and syncs it. What could not be written as a whole is cut off again.
    fn append(&mut self, entries: &[Entry]) -> io::Result<u64> {
        let frame = journal::frame(entries)?;
        if self.current.as_ref().is_some_and(|current| current.bytes >= SEGMENT_BYTES) {
            self.rotate();
        }
        let current = match &mut self.current {
            Some(current) => current,
            None => {
                let number = self.next;
                // A number that failed is not used again: its file may be there.
                self.next += 1;
                let file = self.folder.make_segment(number)?;
                self.current.insert(Current { number, file, bytes: 0, torn: false })
            }
        };
        if current.torn {
            current.file.set_len(current.bytes)?;
            current.torn = false;
        }
        let sync = |file: &File| if self.limits.sync { file.sync_data() } else { Ok(()) };
        match current.file.write_all(&frame).and_then(|()| sync(&current.file)) {
            Ok(()) => {
                current.bytes += frame.len() as u64;
                Ok(current.number)
            }
            Err(error) => {
                current.torn = current.file.set_len(current.bytes).is_err();
                Err(error)
            }
        }
    }

    fn rotate(&mut self) {
        match self.current.take() {
            // Only what is whole may be ended.
            Some(current) if current.torn => self.current = Some(current),
            Some(current) => self.ended.push((current.number, current.bytes)),
            None => {}
        }
    }

    /// Removes segments whose records are in the table. Actions that began in them and did not end
    /// are written again first.
    fn trim(&mut self, last: u64) -> io::Result<()> {
        let open: Vec<Facts> = self
            .open
            .values()
            .filter(|(segment, _)| *segment <= last)
            .map(|(_, facts)| facts.clone())
            .collect();
        if !open.is_empty() {
            let entries: Vec<Entry> = open.iter().cloned().map(Entry::Begin).collect();
            let segment = self.append(&entries)?;
            self.open.extend(open.into_iter().map(|facts| (facts.id.clone(), (segment, facts))));
        }
        // In their order: no action may be seen to begin whose end is gone.
        while let Some((number, _)) = self.ended.first().filter(|(number, _)| *number <= last) {
            self.folder.remove_segment(*number)?;
            self.ended.remove(0);
        }
        Ok(())
    }

    fn bytes(&self) -> u64 {
        let current = self.current.as_ref().map_or(0, |current| current.bytes);
        self.ended.iter().map(|(_, bytes)| bytes).sum::<u64>() + current
    }
}
