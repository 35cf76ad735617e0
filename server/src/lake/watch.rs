//! How far something is that reads and writes rows, and a word to stop it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::error::LakeError;
use super::stoppable::StopWhen;

/// A moment up to which something may be done; whoever prolongs it moves it on. Clones are the same.
#[derive(Clone, Debug)]
pub struct Deadline(Arc<Mutex<Instant>>);

impl Deadline {
    /// Up to this moment.
    pub fn new(moment: Instant) -> Self {
        Self(Arc::new(Mutex::new(moment)))
    }

    /// From now on up to another moment.
    pub fn move_to(&self, moment: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = moment;
    }

    /// Whether it has passed.
    pub fn is_over(&self) -> bool {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) <= Instant::now()
    }
}

/// Watches and stops one piece of work.
#[derive(Debug, Default)]
pub struct Watch {
    /// Stops it; nothing of it is committed then.
    pub cancel: CancellationToken,
    /// After it nothing is committed either: it does not wait until somebody is told.
    pub deadline: Option<Deadline>,
    /// Rows that were read so far.
    pub rows_read: AtomicU64,
    /// Rows that were written so far.
    pub rows_written: AtomicU64,
}

impl Watch {
    /// Stopped by this token.
    pub fn new(cancel: CancellationToken) -> Self {
        Self { cancel, ..Self::default() }
    }

    /// And by a moment.
    pub fn up_to(self, deadline: Deadline) -> Self {
        Self { deadline: Some(deadline), ..self }
    }

    /// # Errors
    /// [`LakeError::Cancelled`] if it is to stop.
    pub fn go_on(&self) -> Result<(), LakeError> {
        match self.is_over() {
            true => Err(LakeError::Cancelled),
            false => Ok(()),
        }
    }

    /// Tells plans when to stop.
    pub fn stop_when(self: &Arc<Self>) -> StopWhen {
        let watch = Arc::clone(self);
        StopWhen::new(move || watch.is_over())
    }

    fn is_over(&self) -> bool {
        self.cancel.is_cancelled() || self.deadline.as_ref().is_some_and(Deadline::is_over)
    }

    /// Counts rows that were read.
    pub fn read(&self, rows: u64) {
        self.rows_read.fetch_add(rows, Ordering::Relaxed);
    }

    /// Counts rows that were written.
    pub fn wrote(&self, rows: u64) {
        self.rows_written.fetch_add(rows, Ordering::Relaxed);
    }
}
