//! URLs of the store that servers gave out: they hold whatever the deny list says, so that an
//! acknowledgement waits for the last of them.
//!
//! `system/lent/<seconds>-<server>` says that a server gives out URLs that hold no longer than that. It
//! is there before the first of them is signed, and until the last of them has ended. Servers have no
//! clock in common: whoever finds one waits that long from then on.

use std::time::{Duration, Instant};

use chrono::Utc;
use uuid::Uuid;

use super::service::Deny;
use crate::ledger::error::LedgerError;

const FOLDER: &str = "system/lent";
/// How often a server that gives out says so anew, and how long a word of one that ended is obeyed.
const AGAIN: Duration = Duration::from_secs(3600);
const FORGOTTEN: Duration = Duration::from_secs(24 * 3600);

/// What this server gave out.
#[derive(Debug, Default)]
pub(super) struct Lent {
    word: Option<Word>,
}

/// An object of this server.
#[derive(Debug)]
struct Word {
    path: String,
    seconds: u64,
    written: Instant,
    /// When the last URL under it ends.
    ends: Instant,
}

impl Deny {
    /// To be called before a URL of the store is signed that holds for some time (whole seconds), and
    /// before the look at the list under which it is given.
    ///
    /// # Errors
    /// If the lake cannot be written.
    pub async fn lend(&self, time: Duration) -> Result<(), LedgerError> {
        let lake = &self.0.lake;
        let mut lent = self.0.lent.lock().await;
        let (now, seconds) = (Instant::now(), time.as_secs());
        // It is signed a moment later.
        let ends = now + time + AGAIN / 60;
        if let Some(word) = &mut lent.word
            && word.seconds >= seconds
            && word.written.elapsed() < AGAIN
        {
            word.ends = word.ends.max(ends);
            return Ok(());
        }
        let seconds = lent.word.as_ref().map_or(seconds, |word| word.seconds.max(seconds));
        let path = format!("{FOLDER}/{seconds}-{}", Uuid::new_v4().simple());
        lake.put_object(&path, Vec::new()).await?;
        let old = lent.word.replace(Word { path, seconds, written: now, ends });
        if let (Some(old), Some(word)) = (old, &mut lent.word) {
            word.ends = word.ends.max(old.ends);
            lake.remove_object(&old.path).await?;
        }
        Ok(())
    }

    /// Takes back what this server said once the last of its URLs has ended, and what others did that
    /// ended long ago.
    ///
    /// # Errors
    /// If the lake cannot be read or written.
    pub async fn tidy(&self) -> Result<(), LedgerError> {
        let lake = &self.0.lake;
        let mut lent = self.0.lent.lock().await;
        if let Some(word) = lent.word.take_if(|word| word.ends < Instant::now()) {
            lake.remove_object(&word.path).await?;
        }
        let forgotten = i64::try_from(FORGOTTEN.as_millis()).unwrap_or(i64::MAX);
        let before = Utc::now().timestamp_millis() - forgotten;
        for name in lake.list_objects_before(FOLDER, before).await? {
            lake.remove_object(&format!("{FOLDER}/{name}")).await?;
        }
        Ok(())
    }

    /// Waits until no URL holds any more that was signed before.
    pub(super) async fn returned(&self) -> Result<(), LedgerError> {
        let names = self.0.lake.list_objects(FOLDER).await?;
        let seconds = |name: &String| name.split_once('-')?.0.parse::<u64>().ok();
        if let Some(longest) = names.iter().filter_map(seconds).max() {
            tokio::time::sleep(Duration::from_secs(longest)).await;
        }
        Ok(())
    }
}
