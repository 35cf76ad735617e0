//! Records as rows of the table.

use std::sync::Arc;

use deltalake::arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use deltalake::arrow::compute::cast;
use deltalake::arrow::datatypes::{DataType, Int64Type};

use super::columns::{AUDIT_TABLE, Cell, SPECS, stored};
use super::error::AuditError;
use super::record::{Facts, Row};
use super::redactable::Redactable;
use crate::lake::{Lake, Table};
use crate::pipeline::Zone;

/// Opens the newest version of the table, making it first if there is none.
pub(super) async fn open(lake: &Lake) -> Result<Table, AuditError> {
    let columns = stored();
    let table = lake.table_or_create(Zone::System.name(), AUDIT_TABLE, &columns).await?;
    match table.stores(&columns)? {
        true => Ok(table),
        false => Err(AuditError::OtherColumns(AUDIT_TABLE)),
    }
}

/// The application id of a chain's commits (Delta protocol, "Transaction Identifiers"); their
/// version is the place of the last record that they append.
pub(super) fn app_id(chain: &str) -> String {
    format!("audit:{chain}")
}

/// Records as a batch.
pub(super) fn batch(rows: &[Row]) -> Result<RecordBatch, AuditError> {
    let columns = SPECS.iter().map(|spec| -> ArrayRef {
        let cells = rows.iter().map(|row| row.cell(spec.name));
        match spec.number {
            true => Arc::new(Int64Array::from_iter(cells.map(|cell| match cell {
                Cell::Number(number) => number,
                Cell::Text(_) => None,
            }))),
            false => Arc::new(StringArray::from_iter(cells.map(|cell| match cell {
                Cell::Text(text) => text,
                Cell::Number(_) => None,
            }))),
        }
    });
    Ok(RecordBatch::try_new(stored().schema, columns.collect())?)
}

/// A batch as records; the batch has the columns by name.
pub(super) fn rows(batch: &RecordBatch) -> Result<Vec<Row>, AuditError> {
    let mut columns = Vec::with_capacity(SPECS.len());
    for spec in &SPECS {
        let data_type = if spec.number { DataType::Int64 } else { DataType::Utf8 };
        let place = batch.schema().index_of(spec.name)?;
        columns.push((spec.name, cast(batch.column(place), &data_type)?));
    }
    let columns = Columns(columns);
    Ok((0..batch.num_rows()).map(|place| columns.row(place)).collect())
}

struct Columns(Vec<(&'static str, ArrayRef)>);

impl Columns {
    fn value(&self, name: &str, place: usize) -> Option<&ArrayRef> {
        let column = self.0.iter().find(|(column, _)| *column == name);
        column.map(|(_, array)| array).filter(|array| array.is_valid(place))
    }

    fn text(&self, name: &str, place: usize) -> Option<String> {
        self.value(name, place).map(|array| array.as_string::<i32>().value(place).to_owned())
    }

    fn number(&self, name: &str, place: usize) -> Option<i64> {
        self.value(name, place).map(|array| array.as_primitive::<Int64Type>().value(place))
    }

    fn redactable(&self, names: [&str; 3], place: usize) -> Redactable {
        let [value, salt, digest] = names.map(|name| self.text(name, place));
        Redactable { value, salt, digest }
    }

    /// A null where the server writes none reads as nothing: the chain shows that it was changed.
    fn row(&self, place: usize) -> Row {
        let text = |name| self.text(name, place);
        let must = |name| self.text(name, place).unwrap_or_default();
        let number = |name| self.number(name, place);
        let redactable = |names| self.redactable(names, place);
        Row {
            chain: must("chain"),
            seq: number("seq").unwrap_or_default(),
            previous: must("previous"),
            hash: must("hash"),
            facts: Facts {
                id: must("id"),
                at: number("at").unwrap_or_default(),
                request_id: text("request_id"),
                principal: redactable(["principal", "principal_salt", "principal_digest"]),
                roles: text("roles"),
                peer: redactable(["peer", "peer_salt", "peer_digest"]),
                action: must("action"),
                resource: must("resource"),
                subject: redactable(["subject", "subject_salt", "subject_digest"]),
                tables: text("tables"),
                rows_in: number("rows_in"),
                rows_out: number("rows_out"),
                bytes_out: number("bytes_out"),
                times: number("times").unwrap_or_default(),
                outcome: must("outcome"),
                code: text("code"),
                duration_ms: number("duration_ms"),
                statement: redactable(["statement", "statement_salt", "statement_digest"]),
            },
        }
    }
}
