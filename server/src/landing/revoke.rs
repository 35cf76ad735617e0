//! Revocations land too: rows of a table that the server alone writes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use deltalake::arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use deltalake::arrow::compute::cast;
use deltalake::arrow::datatypes::{DataType, Int64Type};
use deltalake::datafusion::error::DataFusionError;
use deltalake::datafusion::logical_expr::{Expr, ident, lit};
use futures::StreamExt;
use serde_json::json;

use super::error::LandingError;
use super::load::Landing;
use super::tables::SOURCE_FOLDER;
use crate::lake::{Author, Change, Columns, DataFiles, LakeError, Mode, Table, Writer, commit};
use crate::pipeline::{Consent, REQUEST, SUBJECT_ID, stored_columns};

/// How often a commit is tried again that others got in the way of.
const ATTEMPTS: usize = 20;
/// The application id of the `txn` action of every commit: as all have the same, none is rebased
/// over another, and what is there already is looked for anew (Delta protocol, "Transaction
/// Identifiers").
const MARKER: &str = "revocations";

/// A customer withdraws consent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// The request with which they do: it is in the table once.
    pub request: String,
    /// The pseudonym.
    pub subject: String,
    /// When, in epoch milliseconds.
    pub at: i64,
}

impl Landing {
    /// Appends those revocations whose requests are not in the table yet, and says which version of
    /// the table has all of them. What is derived from consent follows with the next promotion.
    ///
    /// A consent may be dated in the future. It is revoked all the same: up to that date none counts.
    ///
    /// # Errors
    /// [`LandingError::NoRevocations`] if the pipeline has none.
    pub async fn revoke(
        &self,
        revocations: &[Revocation],
        author: &Author,
    ) -> Result<u64, LandingError> {
        let consent = self.pipeline.consent.as_ref().ok_or(LandingError::NoRevocations)?;
        let columns = stored_columns(&Consent::columns());
        let mut table = self.revocations(consent).await?;
        for _ in 0..ATTEMPTS {
            let known = self.requests(&table, revocations).await?;
            let mut seen = BTreeSet::new();
            let new: Vec<&Revocation> = revocations
                .iter()
                .filter(|new| !known.contains(&new.request) && seen.insert(new.request.as_str()))
                .collect();
            if new.is_empty() {
                return Ok(table.version());
            }
            let newest = self.newest_consents(consent, &new).await?;
            let sequence = self.next_sequence(&table)?;
            let mut writer = Writer::new(&table, &columns);
            writer.write(&rows(&columns, &new, &newest, sequence)?).await?;
            let written = writer.finish().await?;
            let change = Change {
                mode: Mode::Append,
                columns: None,
                written: written.clone(),
                txns: vec![(MARKER.to_owned(), sequence)],
                author: author.clone(),
                info: json!({ "operation": "revoke", "load_sequence": sequence }),
            };
            match commit(&self.lake, SOURCE_FOLDER, &table, change).await {
                Ok(table) => {
                    let version = table.version();
                    tracing::info!(table = table.name(), version, rows = new.len(), "revoked");
                    return Ok(version);
                }
                // It may be in the log after all, below what somebody else committed.
                Err(LakeError::Conflict { .. }) => {
                    table = self.revocations(consent).await?;
                    let live = table.files()?;
                    // Left, it would hold up a purge of the table.
                    if live.clone().without(&table.written(&written, &columns)?).len() == live.len()
                    {
                        written.discard(&table).await;
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(LakeError::Conflict { table: consent.revocations.clone() }.into())
    }

    /// The table of revocations at its newest version; it is made if it is not there.
    pub(super) async fn revocations(&self, consent: &Consent) -> Result<Table, LandingError> {
        let columns = stored_columns(&Consent::columns());
        let table = match self.lake.current(SOURCE_FOLDER, &consent.revocations).await? {
            Some(table) => table,
            None => {
                self.lake.table_or_create(SOURCE_FOLDER, &consent.revocations, &columns).await?
            }
        };
        match table.stores(&columns)? {
            true => Ok(table),
            false => Err(LandingError::OtherColumns(consent.revocations.clone())),
        }
    }

    /// Those of the requests that the table has.
    async fn requests(
        &self,
        table: &Table,
        revocations: &[Revocation],
    ) -> Result<BTreeSet<String>, LandingError> {
        let subjects = revocations.iter().map(|one| one.subject.as_str());
        let requests = revocations.iter().map(|one| one.request.as_str());
        let rows = among(SUBJECT_ID, subjects).and(among(REQUEST, requests));
        let mut known = BTreeSet::new();
        self.each(&table.files()?, rows, &[REQUEST], |batch| {
            let requests = cast(batch.column(0), &DataType::Utf8)?;
            known.extend(requests.as_string::<i32>().iter().flatten().map(str::to_owned));
            Ok(())
        })
        .await?;
        Ok(known)
    }

    /// The latest date of a consent that any record of a customer has.
    async fn newest_consents(
        &self,
        consent: &Consent,
        revocations: &[&Revocation],
    ) -> Result<BTreeMap<String, i64>, LandingError> {
        let mut newest = BTreeMap::new();
        let customers = self.lake.current(SOURCE_FOLDER, &consent.customers).await?;
        let Some(customers) = customers else { return Ok(newest) };
        let subjects = among(SUBJECT_ID, revocations.iter().map(|one| one.subject.as_str()));
        let rows = subjects.and(ident(&consent.date).is_not_null());
        self.each(&customers.files()?, rows, &[SUBJECT_ID, &consent.date], |batch| {
            let subjects = cast(batch.column(0), &DataType::Utf8)?;
            let dates = batch.column(1).as_primitive::<Int64Type>();
            for (subject, date) in subjects.as_string::<i32>().iter().zip(dates) {
                let (Some(subject), Some(date)) = (subject, date) else { continue };
                let newest: &mut i64 = newest.entry(subject.to_owned()).or_default();
                *newest = date.max(*newest);
            }
            Ok(())
        })
        .await?;
        Ok(newest)
    }

    /// Some columns of some rows of files, batch by batch.
    pub(super) async fn each(
        &self,
        files: &DataFiles,
        rows: Expr,
        columns: &[&str],
        mut take: impl FnMut(&RecordBatch) -> Result<(), DataFusionError>,
    ) -> Result<(), LandingError> {
        let failed = |source: DataFusionError| LandingError::Look {
            table: files.table().to_owned(),
            source: Box::new(source),
        };
        if files.is_empty() {
            return Ok(());
        }
        let columns = columns.iter().map(|column| ident(*column)).collect::<Vec<_>>();
        let some = self.lake.sessions().session().read_table(Arc::new(files.clone()));
        let some = some.and_then(|all| all.filter(rows)).and_then(|some| some.select(columns));
        let mut batches = some.map_err(failed)?.execute_stream().await.map_err(failed)?;
        while let Some(batch) = batches.next().await {
            take(&batch.map_err(failed)?).map_err(failed)?;
        }
        Ok(())
    }
}

pub(super) fn among<'a>(column: &str, values: impl Iterator<Item = &'a str>) -> Expr {
    ident(column).in_list(values.map(lit).collect(), false)
}

fn rows(
    columns: &Columns,
    revocations: &[&Revocation],
    newest: &BTreeMap<String, i64>,
    sequence: i64,
) -> Result<RecordBatch, LandingError> {
    let texts = |text: fn(&Revocation) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(revocations.iter().map(|one| text(one))))
    };
    let numbers = |numbers: Vec<i64>| -> ArrayRef { Arc::new(Int64Array::from(numbers)) };
    let at = |one: &&Revocation| newest.get(&one.subject).map_or(one.at, |date| one.at.max(*date));
    let positions = (0_i64..).take(revocations.len()).collect();
    let arrays = vec![
        texts(|one| &one.subject),
        numbers(revocations.iter().map(at).collect()),
        texts(|one| &one.request),
        numbers(vec![sequence; revocations.len()]),
        numbers(positions),
    ];
    RecordBatch::try_new(Arc::clone(&columns.schema), arrays)
        .map_err(|source| LandingError::Rows { name: "revocations".to_owned(), source })
}
