//! An erasure takes what somebody's records left in the landing zone.

use std::collections::BTreeSet;
use std::sync::Arc;

use deltalake::datafusion::logical_expr::{Expr, ident, lit};
use serde_json::{Value, json};

use super::error::LandingError;
use super::load::Landing;
use super::revoke::among;
use super::suppress;
use super::tables::{SOURCE_FOLDER, landing_columns, rejected_columns};
use crate::lake::{Author, Columns, DataFiles, LakeError, Needles};
use crate::pipeline::{Consent, SUBJECT_ID, Source, stored_columns};

/// How often it is found out anew where rows are that others moved.
const ATTEMPTS: usize = 20;

/// Whose rows are to go.
#[derive(Clone, Debug)]
pub struct Erased {
    /// The request of the erasure.
    pub request: String,
    /// The number of the suppression list that has them: their records must not arrive again.
    pub number: u64,
    /// Their pseudonyms.
    pub subjects: BTreeSet<String>,
    /// The serial numbers that they claimed.
    pub devices: BTreeSet<String>,
    /// The time of the erasure, in epoch milliseconds: rows that name one of these devices and nobody
    /// go, if they are not from after that.
    pub until: i64,
    /// What names them in the text of a rejected record.
    pub needles: Arc<Needles>,
}

/// What an erasure did to one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasedTable {
    /// The table.
    pub table: String,
    /// Its version before.
    pub version_before: u64,
    /// Its version afterwards.
    pub version_after: u64,
    /// Rows before.
    pub rows_before: u64,
    /// Rows afterwards; what others loaded meanwhile is not among them.
    pub rows_after: u64,
    /// Files that held such rows.
    pub files_rewritten: u64,
    /// Bytes of these.
    pub bytes_rewritten: u64,
}

/// What is to go of one table.
struct Part {
    name: String,
    columns: Columns,
    rows: Expr,
    /// The column of devices, where a row may name one of them and nobody.
    device: Option<String>,
}

impl Landing {
    /// Takes the rows of some people out of every landing table. First every table is fenced: a load
    /// that began before sees to it that it brings none of them. Files that hold no such row stay as
    /// they are. Repeated, it finds nothing.
    ///
    /// Versions before this still have the rows, until they are purged; derived tables follow with the
    /// next promotion.
    ///
    /// # Errors
    /// If the lake cannot be read or written; some tables may be done.
    pub async fn erase(
        &self,
        erased: &Erased,
        author: &Author,
    ) -> Result<Vec<ErasedTable>, LandingError> {
        let list = self.suppression.at_least(erased.number).await?;
        let mut parts = Vec::new();
        for source in &self.pipeline.sources {
            parts.push(self.part(source, erased));
            let needles = Arc::clone(&erased.needles);
            let named = suppress::rejects(source, &list, move |text| needles.are_in(text));
            parts.push(Part {
                name: source.rejected(),
                columns: rejected_columns(),
                rows: theirs(erased).or(named),
                device: None,
            });
        }
        let info = json!({ "operation": "erase", "request": erased.request });
        let fence = json!({ "operation": "fence", "request": erased.request });
        let mut before = Vec::new();
        for Part { name, .. } in &parts {
            let table = self.lake.current(SOURCE_FOLDER, name).await?;
            before.push(table.map(|table| table.version()));
            let by = (author, &fence);
            self.lake.fence(SOURCE_FOLDER, name, erased.number, by).await?;
        }
        if let Some(consent) = &self.pipeline.consent {
            let table = self.revocations(consent).await?;
            before.push(Some(table.version()));
            parts.push(Part {
                name: consent.revocations.clone(),
                columns: stored_columns(&Consent::columns()),
                rows: theirs(erased),
                device: None,
            });
        }
        let mut tables = Vec::new();
        for (part, before) in parts.iter().zip(before) {
            let Some(before) = before else { continue };
            tables.push(self.erase_part(part, before, erased, author, &info).await?);
        }
        Ok(tables)
    }

    fn part(&self, source: &Source, erased: &Erased) -> Part {
        let mut rows = lit(false);
        if source.subject.is_some() {
            rows = rows.or(theirs(erased));
        }
        if let Some(device) = &source.device {
            let devices = among(device, erased.devices.iter().map(String::as_str));
            let moment = suppress::moment(source);
            let old = moment.clone().is_null().or(moment.lt_eq(lit(erased.until)));
            let nobody = source.subject.as_ref().map(|_| ident(SUBJECT_ID).is_null());
            rows = rows.or(nobody.into_iter().fold(devices.and(old), Expr::and));
        }
        Part {
            name: source.name.clone(),
            columns: landing_columns(source),
            rows,
            device: source.device.clone(),
        }
    }

    async fn erase_part(
        &self,
        part: &Part,
        version_before: u64,
        erased: &Erased,
        author: &Author,
        info: &Value,
    ) -> Result<ErasedTable, LandingError> {
        let Part { name, columns, rows, .. } = part;
        for _ in 0..ATTEMPTS {
            let Some(table) = self.lake.current(SOURCE_FOLDER, name).await? else { break };
            let files = part.may_hold(table.files()?, erased);
            let without = table.without(&self.lake, files, columns, rows.clone(), true).await?;
            let rows_before = table.stats()?.rows;
            let mut done = ErasedTable {
                table: name.clone(),
                version_before,
                version_after: table.version(),
                rows_before,
                rows_after: rows_before - without.gone.min(rows_before),
                files_rewritten: without.touched.len() as u64,
                bytes_rewritten: without.bytes(),
            };
            if without.gone == 0 {
                return Ok(done);
            }
            match without.commit(&self.lake, SOURCE_FOLDER, author, info).await {
                Ok(table) => {
                    done.version_after = table.version();
                    let (rows, files) = (done.rows_before - done.rows_after, done.files_rewritten);
                    tracing::info!(
                        table = name,
                        version = done.version_after,
                        rows,
                        files,
                        "erase"
                    );
                    return Ok(done);
                }
                Err(LakeError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(LakeError::Conflict { table: name.clone() }.into())
    }
}

impl Part {
    /// Files that may hold such rows, by their statistics.
    fn may_hold(&self, files: DataFiles, erased: &Erased) -> DataFiles {
        let has = |files: &DataFiles, column| files.column(column).is_some();
        let Some(device) = self.device.as_deref() else { return files };
        let mut others = files.clone();
        for file in files.each() {
            let subject = has(&file, SUBJECT_ID);
            let theirs = subject && !file.holding(SUBJECT_ID, &erased.subjects).is_empty();
            let nobody = !subject || file.may_hold_null(SUBJECT_ID);
            if theirs || nobody && !file.holding(device, &erased.devices).is_empty() {
                others = others.without(&file);
            }
        }
        files.without(&others)
    }
}

/// The rows with their pseudonyms.
fn theirs(erased: &Erased) -> Expr {
    among(SUBJECT_ID, erased.subjects.iter().map(String::as_str))
}
