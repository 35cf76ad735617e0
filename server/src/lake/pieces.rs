//! Rows in order, cut into files.
//!
//! A change rewrites the files that hold its rows, so a file is a small part of its table; and a
//! reader opens each file, so a large table has larger ones.

use deltalake::arrow::array::RecordBatch;

use deltalake::datafusion::error::DataFusionError;
use tokio::task::{JoinError, JoinSet};

use super::error::LakeError;
use super::order::next_value;
use super::table::{Columns, Table};
use super::write::{Writer, Written};

/// Rows after which a file is full.
pub(super) const FILE_ROWS: u64 = 32 * 1024;
/// A file of a large table has at most one of so many parts of the rows before it.
const PARTS: u64 = 16;
/// Files that are on their way to the store while the next one is written.
const CLOSING: usize = 4;

/// Writes rows that come in order into files.
pub(super) struct Pieces<'a> {
    table: &'a Table,
    columns: &'a Columns,
    /// The column whose values stay together in a file.
    by: Option<&'a str>,
    /// The file that is not full yet, and its rows.
    open: Option<(Writer, u64)>,
    /// Rows of the files that are full.
    rows: u64,
    closing: JoinSet<Result<Written, LakeError>>,
    done: Written,
}

impl<'a> Pieces<'a> {
    /// Writes files of a table; rows with the same value of `by` are in one file, as long as they
    /// come within a batch.
    pub fn new(table: &'a Table, columns: &'a Columns, by: Option<&'a str>) -> Self {
        let (open, rows, closing, done) = (None, 0, JoinSet::new(), Written::default());
        Self { table, columns, by, open, rows, closing, done }
    }

    /// Adds rows.
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<(), LakeError> {
        let mut rest = batch.clone();
        while rest.num_rows() > 0 {
            let (mut writer, held) = match self.open.take() {
                Some(open) => open,
                None => (Writer::new(self.table, self.columns), 0),
            };
            let most = FILE_ROWS.max(self.rows / PARTS);
            let room = usize::try_from(most.saturating_sub(held)).unwrap_or(usize::MAX);
            let cut = match (rest.num_rows() < room, self.by) {
                (true, _) => None,
                (false, None) => Some(room.max(1)),
                (false, Some(by)) => next_value(&rest, by, room)
                    .map_err(|e| LakeError::plan(self.table.name())(e.into()))?,
            };
            let rows = cut.unwrap_or(rest.num_rows()).min(rest.num_rows());
            if let Err(error) = writer.write(&rest.slice(0, rows)).await {
                writer.abandon().await;
                return Err(error);
            }
            rest = rest.slice(rows, rest.num_rows() - rows);
            match cut {
                None => self.open = Some((writer, held + rows as u64)),
                Some(_) => {
                    self.rows += held + rows as u64;
                    self.end(writer, CLOSING).await?;
                }
            }
        }
        Ok(())
    }

    /// Finishes a file, beside no more than so many others.
    async fn end(&mut self, writer: Writer, beside: usize) -> Result<(), LakeError> {
        self.closing.spawn(writer.finish());
        while self.closing.len() > beside
            && let Some(closed) = self.closing.join_next().await
        {
            self.take(closed)?;
        }
        Ok(())
    }

    fn take(
        &mut self,
        closed: Result<Result<Written, LakeError>, JoinError>,
    ) -> Result<(), LakeError> {
        let broken = |error| DataFusionError::ExecutionJoin(Box::new(error));
        let written = closed.map_err(|e| LakeError::plan(self.table.name())(broken(e)))??;
        self.done = std::mem::take(&mut self.done).and(written);
        Ok(())
    }

    /// Finishes the files. After an error none is left behind, as far as it can be removed.
    pub async fn finish(mut self) -> Result<Written, LakeError> {
        let ended = match self.open.take() {
            Some((writer, _)) => self.end(writer, 0).await,
            None => Ok(()),
        };
        match ended.and(self.closed().await) {
            Ok(()) => Ok(self.done),
            Err(error) => {
                self.done.discard(self.table).await;
                Err(error)
            }
        }
    }

    /// Waits for all that are on their way; the first error counts.
    async fn closed(&mut self) -> Result<(), LakeError> {
        let mut outcome = Ok(());
        while let Some(closed) = self.closing.join_next().await {
            outcome = outcome.and(self.take(closed));
        }
        outcome
    }

    /// Gives up what was written.
    pub async fn abandon(mut self) {
        if let Some((writer, _)) = self.open.take() {
            writer.abandon().await;
        }
        if let Err(error) = self.closed().await {
            tracing::warn!(table = self.table.name(), %error, "an unfinished data file was not removed");
        }
        self.done.discard(self.table).await;
    }
}
