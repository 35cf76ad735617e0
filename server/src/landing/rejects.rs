//! Records that cannot be used are kept aside: nothing that was sent is lost.

use std::borrow::Cow;

use deltalake::arrow::array::RecordBatch;
use deltalake::arrow::error::ArrowError;

use super::rows::Rows;
use super::tables::rejected_columns;
use super::value::Stored;
use stedi_openapi::Reject;

/// Rejects that the answer of a load lists; the table keeps all.
const LISTED: usize = 100;

/// Collects rejected records.
pub(super) struct Rejects {
    file: String,
    sequence: i64,
    rows: Rows,
    count: u64,
    listed: Vec<Reject>,
}

impl Rejects {
    /// Nothing rejected yet, of a load from `file`.
    pub fn new(file: &str, sequence: i64) -> Self {
        let rows = Rows::new(rejected_columns().schema);
        Self { file: file.to_owned(), sequence, rows, count: 0, listed: Vec::new() }
    }

    /// Keeps a record with the line on which it begins, the reason, and its subject if that much
    /// could be read. Bytes that are not UTF-8 are kept as U+FFFD.
    pub fn push(&mut self, line: u64, reason: String, raw: &[u8], subject_id: Option<String>) {
        let text = |text: &str| Some(Stored::Text(Cow::Owned(text.to_owned())));
        self.rows.push([
            subject_id.map(|id| Stored::Text(Cow::Owned(id))),
            Some(Stored::Epoch(self.sequence)),
            text(&self.file),
            Some(Stored::Epoch(i64::try_from(line).unwrap_or(i64::MAX))),
            text(&reason),
            Some(Stored::Text(String::from_utf8_lossy(raw).into_owned().into())),
        ]);
        self.count += 1;
        if self.listed.len() < LISTED {
            self.listed.push(Reject { line, reason });
        }
    }

    /// Rejected records so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether it is time to hand the batch on.
    pub fn full(&self) -> bool {
        self.rows.full()
    }

    /// The collected rows, if there are any.
    pub fn take(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        self.rows.take()
    }

    /// The first rejects, for the answer.
    pub fn into_listed(self) -> Vec<Reject> {
        self.listed
    }
}
