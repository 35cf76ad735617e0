//! A read that is going on: may it go on?

use super::entry::Seen;
use super::error::DenyError;
use super::service::Deny;

/// What somebody reads, and under which list they began. Before any row leaves the server,
/// [`Reading::still`] is to be asked.
#[derive(Clone, Debug)]
pub struct Reading {
    deny: Deny,
    /// The last object of the log that is obeyed.
    seq: u64,
    /// Tables and their versions.
    tables: Vec<Seen>,
}

impl Reading {
    /// Somebody reads these versions of tables, without the rows that are hidden by the log
    /// up to `seq`.
    pub fn new(deny: Deny, seq: u64, tables: Vec<Seen>) -> Self {
        Self { deny, seq, tables }
    }

    /// The last object of the log that is obeyed.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Waits for a list that is new enough, and says whether what was read may still be given.
    ///
    /// # Errors
    /// [`DenyError::Changed`] if rows of it are denied now, [`DenyError::Unknown`] if that cannot be
    /// found out.
    pub async fn still(&self) -> Result<(), DenyError> {
        if self.tables.is_empty() {
            return Ok(());
        }
        let list = self.deny.current().await?;
        let denies = |seen: &Seen| list.denies_since(self.seq, seen);
        match list.seq() > self.seq && self.tables.iter().any(denies) {
            true => Err(DenyError::Changed),
            false => Ok(()),
        }
    }

    /// Waits until it may not go on, and says why.
    pub async fn ended(&self) -> DenyError {
        if self.tables.is_empty() {
            return std::future::pending().await;
        }
        let mut news = self.deny.news();
        loop {
            if let Err(error) = self.still().await {
                return error;
            }
            // The list grows old where nobody but this looks at it.
            let _ = tokio::time::timeout(self.deny.pulse(), news.changed()).await;
        }
    }
}
