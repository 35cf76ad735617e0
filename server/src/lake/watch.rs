//! How far something is that reads and writes rows, and a word to stop it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio_util::sync::CancellationToken;

use super::error::LakeError;
use super::stoppable::StopWhen;

/// Watches and stops one piece of work.
#[derive(Debug, Default)]
pub struct Watch {
    /// Stops it; nothing of it is committed then.
    pub cancel: CancellationToken,
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

    /// # Errors
    /// [`LakeError::Cancelled`] if it is to stop.
    pub fn go_on(&self) -> Result<(), LakeError> {
        match self.cancel.is_cancelled() {
            true => Err(LakeError::Cancelled),
            false => Ok(()),
        }
    }

    /// Tells plans when to stop.
    pub fn stop_when(self: &Arc<Self>) -> StopWhen {
        let watch = Arc::clone(self);
        StopWhen::new(move || watch.cancel.is_cancelled())
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
