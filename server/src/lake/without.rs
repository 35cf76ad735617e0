//! Files without some of their rows: only those that hold such rows are written anew.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::Utc;
use deltalake::arrow::array::{ArrayRef, RecordBatch, StringArray};
use deltalake::arrow::datatypes::{DataType, Field, Schema};
use deltalake::arrow::error::ArrowError;
use deltalake::datafusion::error::DataFusionError;
use deltalake::datafusion::logical_expr::Expr;
use futures::StreamExt;
use serde_json::Value;

use super::changes::CHANGE_TYPE;
use super::commit::{Author, Change, Mode, Replaced, commit};
use super::error::LakeError;
use super::files::DataFiles;
use super::store::Lake;
use super::table::{Columns, Table};
use super::write::{Writer, Written, conform};

/// How often a commit is tried again that others got in the way of.
const ATTEMPTS: usize = 100;
/// The application id of the `txn` action of its commit. As all have the same, none is rebased over
/// another (Delta protocol, "Transaction Identifiers").
const MARKER: &str = "erase";

/// What some files are without some of their rows.
pub struct Without {
    table: Table,
    columns: Columns,
    /// The files that hold such rows.
    pub touched: Vec<DataFiles>,
    /// The other rows of these.
    stay: Written,
    /// The rows that go, as change data.
    changes: Written,
    /// How many those are.
    pub gone: u64,
}

impl Without {
    /// Bytes of the files that hold such rows.
    pub fn bytes(&self) -> u64 {
        self.touched.iter().map(DataFiles::bytes).sum()
    }

    /// The names of the files that hold such rows.
    fn names(&self) -> BTreeSet<&str> {
        self.touched.iter().flat_map(DataFiles::names).collect()
    }

    /// Puts the new files into the table in the place of the old ones, whatever rows others add
    /// meanwhile: who does must know that such rows are not to be added ([`Table::fence`]).
    ///
    /// # Errors
    /// [`LakeError::Conflict`] if somebody else replaced one of the files: it is to be found out anew
    /// which rows are where.
    pub async fn commit(
        self,
        lake: &Lake,
        folder: &str,
        author: &Author,
        info: &Value,
    ) -> Result<Table, LakeError> {
        let conflict = || LakeError::Conflict { table: self.table.name().to_owned() };
        let mut table = self.table.clone();
        let before = table.txn(MARKER).await?;
        let number = Utc::now().timestamp_micros();
        for _ in 0..ATTEMPTS {
            let change = Change {
                mode: Mode::Replace(Replaced {
                    files: self.touched.clone(),
                    changes: self.changes.clone(),
                    rows_inserted: 0,
                    rows_deleted: self.gone,
                }),
                written: self.stay.clone(),
                columns: None,
                txns: vec![(MARKER.to_owned(), number)],
                author: author.clone(),
                info: info.clone(),
            };
            match commit(lake, folder, &table, change).await {
                Err(LakeError::Conflict { .. }) => {}
                committed => return committed,
            }
            table = lake.current(folder, table.name()).await?.ok_or_else(conflict)?;
            let live = table.files()?;
            let live: BTreeSet<&str> = live.names().collect();
            // A purge takes the new files for those of somebody who gave them up.
            if !self.names().is_subset(&live)
                || table.columns()? != self.columns
                || self.table.is_purged_since(&table)?
            {
                break;
            }
        }
        // The rows that go are in these files, too. Of a commit that was reported as failed the log
        // could have it all the same; not if it has none of this kind.
        if table.txn(MARKER).await? == before {
            self.stay.clone().and(self.changes.clone()).discard(&table).await;
        }
        Err(conflict())
    }

    /// The same for files that are not committed: those that are to be committed in their place. The
    /// others are removed.
    pub async fn of(self, written: Written) -> Written {
        let rows = self.touched.iter().map(DataFiles::rows).sum();
        let (stay, gone) = written.split(&self.names(), rows);
        gone.discard(&self.table).await;
        stay.and(self.stay)
    }
}

impl Table {
    /// Looks which of some files hold rows of which `rows` is true, and writes what else they hold into
    /// new ones, in the order in which it is. With `feed` the rows that go are written as change data:
    /// who derives from the table sees them go. Nothing is changed in the table yet.
    ///
    /// # Errors
    /// [`LakeError::Rows`] if the log has another number of rows than the files.
    pub async fn without(
        &self,
        lake: &Lake,
        files: DataFiles,
        columns: &Columns,
        rows: Expr,
        feed: bool,
    ) -> Result<Without, LakeError> {
        let mut changes = feed.then(|| Writer::of_changes(self, columns));
        let found = self.find(lake, &files, rows.clone(), &mut changes).await;
        let changes = match (changes, &found) {
            // Nothing is written where there is nothing to write.
            (Some(changes), Ok(_)) => changes.finish().await?,
            (Some(changes), Err(_)) => {
                changes.abandon().await;
                Written::default()
            }
            (None, _) => Written::default(),
        };
        let (touched, gone) = found?;
        let mut without = Without {
            table: self.clone(),
            columns: self.columns()?,
            touched,
            stay: Written::default(),
            changes,
            gone,
        };
        // Without a feed they are files of a load.
        let into = if feed { self.apart() } else { self.clone() };
        let mut writer = Writer::new(&into, columns);
        match self.keep(lake, &without.touched, rows.is_not_true(), &mut writer).await {
            Ok(()) => without.stay = writer.finish().await?,
            Err(error) => {
                writer.abandon().await;
                without.changes.discard(self).await;
                return Err(error);
            }
        }
        let expected = without.touched.iter().map(DataFiles::rows).sum();
        let found = without.stay.rows + gone;
        if expected != found {
            let Without { stay, changes, .. } = without;
            stay.and(changes).discard(self).await;
            return Err(LakeError::Rows { table: self.name.clone(), expected, found });
        }
        Ok(without)
    }

    /// The files that hold such rows, and how many there are.
    async fn find(
        &self,
        lake: &Lake,
        files: &DataFiles,
        rows: Expr,
        changes: &mut Option<Writer>,
    ) -> Result<(Vec<DataFiles>, u64), LakeError> {
        let (mut touched, mut gone) = (Vec::new(), 0);
        if files.is_empty() {
            return Ok((touched, gone));
        }
        let failed = LakeError::plan(&self.name);
        let session = lake.sessions.in_pieces();
        let found = session.read_table(Arc::new(files.clone().apart())).map_err(failed)?;
        let found = found.filter(rows).map_err(failed)?;
        let streams = found.execute_stream_partitioned().await.map_err(failed)?;
        if streams.len() != files.len() {
            let pieces = format!("{} files were read as {} pieces", files.len(), streams.len());
            return Err(failed(DataFusionError::Internal(pieces)));
        }
        for (file, mut stream) in files.each().zip(streams) {
            let before = gone;
            while let Some(batch) = stream.next().await {
                let batch = batch.map_err(failed)?;
                gone += batch.num_rows() as u64;
                if let Some(changes) = changes.as_mut().filter(|_| batch.num_rows() > 0) {
                    let batch = conform(&batch, &files.arrow_schema()).map_err(failed)?;
                    let deleted = deleted(&batch).map_err(|error| failed(error.into()))?;
                    changes.write(&deleted).await?;
                }
            }
            if gone > before {
                touched.push(file);
            }
        }
        Ok((touched, gone))
    }

    /// Writes some rows of files, in the order in which they are.
    async fn keep(
        &self,
        lake: &Lake,
        files: &[DataFiles],
        rows: Expr,
        writer: &mut Writer,
    ) -> Result<(), LakeError> {
        let failed = LakeError::plan(&self.name);
        for file in files {
            let session = lake.sessions.in_pieces();
            let stay = session.read_table(Arc::new(file.clone().apart())).map_err(failed)?;
            let stay = stay.filter(rows.clone()).map_err(failed)?;
            let mut stream = stay.execute_stream().await.map_err(failed)?;
            while let Some(batch) = stream.next().await {
                let batch = batch.map_err(failed)?;
                if batch.num_rows() > 0 {
                    writer.write(&batch).await?;
                }
            }
        }
        Ok(())
    }
}

/// Rows that go, as change data.
fn deleted(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let mut fields = batch.schema().fields().to_vec();
    fields.push(Arc::new(Field::new(CHANGE_TYPE, DataType::Utf8, true)));
    let mut columns = batch.columns().to_vec();
    let kinds = StringArray::from_iter_values(std::iter::repeat_n("delete", batch.num_rows()));
    columns.push(Arc::new(kinds) as ArrayRef);
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}
