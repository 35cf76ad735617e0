//! Rows: every text in every column, however deep.

use std::collections::{BTreeMap, BTreeSet};

use deltalake::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, make_array};
use deltalake::arrow::compute::cast;
use deltalake::arrow::datatypes::DataType;
use deltalake::arrow::ipc::reader::{FileReader, StreamReader};

use super::needles::{Needles, Part};
use super::object::Failed;
use super::report::{Looked, Place};
use super::spool::Spooled;
use super::text;
use crate::lake::watch::Watch;

/// Looks into the rows of an Arrow stream.
pub(super) fn stream(
    needles: &Needles,
    object: &Spooled,
    looked: &mut Looked,
    watch: &Watch,
) -> Result<(), Failed> {
    for read in StreamReader::try_new(object.reader()?, None)? {
        watch.go_on().map_err(|_| Failed::Stopped)?;
        batch(needles, &read?, looked)?;
    }
    Ok(())
}

/// Looks into the rows of an Arrow file.
pub(super) fn file(
    needles: &Needles,
    bytes: impl std::io::Read + std::io::Seek,
    looked: &mut Looked,
    watch: &Watch,
) -> Result<(), Failed> {
    for read in FileReader::try_new(bytes, None)? {
        watch.go_on().map_err(|_| Failed::Stopped)?;
        batch(needles, &read?, looked)?;
    }
    Ok(())
}

/// Looks into rows.
pub(super) fn batch(
    needles: &Needles,
    batch: &RecordBatch,
    looked: &mut Looked,
) -> Result<(), Failed> {
    looked.rows += batch.num_rows() as u64;
    // What means somebody only together counts where it is in one row.
    let mut rows = BTreeMap::<usize, BTreeSet<Part>>::new();
    for column in batch.columns() {
        let mut texts = Vec::new();
        texts_of(column, true, &mut texts)?;
        for (array, by_row) in texts {
            each(&array, needles, |row, parts| {
                looked.note(needles, Place::Row, &parts);
                if by_row {
                    rows.entry(row).or_default().extend(parts);
                }
            });
        }
    }
    for parts in rows.values() {
        looked.note(needles, Place::Row, parts);
    }
    Ok(())
}

/// The arrays of text or bytes that a column consists of, and whether each has one value a row.
fn texts_of(
    column: &ArrayRef,
    by_row: bool,
    texts: &mut Vec<(ArrayRef, bool)>,
) -> Result<(), Failed> {
    match column.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Binary | DataType::LargeBinary => {
            texts.push((ArrayRef::clone(column), by_row));
        }
        DataType::Utf8View => texts.push((cast(column, &DataType::LargeUtf8)?, by_row)),
        DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            texts.push((cast(column, &DataType::LargeBinary)?, by_row));
        }
        DataType::Dictionary(_, values) => {
            texts_of(&cast(column, values)?, by_row, texts)?;
            // Also those that no row has.
            texts_of(column.as_any_dictionary().values(), false, texts)?;
        }
        _ => {
            for child in column.to_data().child_data() {
                texts_of(&make_array(child.clone()), false, texts)?;
            }
        }
    }
    Ok(())
}

/// Looks into each value, and says what was found in which.
fn each(array: &ArrayRef, needles: &Needles, found: impl FnMut(usize, BTreeSet<Part>)) {
    match array.data_type() {
        DataType::Utf8 => {
            let array = array.as_string::<i32>();
            let all = array.value_data();
            values(needles, all, array.iter().map(|value| value.map(str::as_bytes)), found);
        }
        DataType::LargeUtf8 => {
            let array = array.as_string::<i64>();
            let all = array.value_data();
            values(needles, all, array.iter().map(|value| value.map(str::as_bytes)), found);
        }
        DataType::Binary => {
            let array = array.as_binary::<i32>();
            values(needles, array.value_data(), array.iter(), found);
        }
        DataType::LargeBinary => {
            let array = array.as_binary::<i64>();
            values(needles, array.value_data(), array.iter(), found);
        }
        _ => {}
    }
}

fn values<'a>(
    needles: &Needles,
    all: &[u8],
    values: impl Iterator<Item = Option<&'a [u8]>>,
    mut found: impl FnMut(usize, BTreeSet<Part>),
) {
    // Mostly there is nothing in any of them.
    let mut any = BTreeSet::new();
    text::search(needles, all, &mut any);
    if any.is_empty() {
        return;
    }
    for (row, value) in values.enumerate() {
        let mut parts = BTreeSet::new();
        text::search(needles, value.unwrap_or_default(), &mut parts);
        if !parts.is_empty() {
            found(row, parts);
        }
    }
}
