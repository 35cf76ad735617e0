//! Parquet: every page and dictionary as it is stored, and every row as it is read. A dictionary may
//! hold values that no row has, and a page more bytes than values; rows may be stored in pieces.

use std::collections::BTreeSet;

use deltalake::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use deltalake::parquet::file::reader::{ChunkReader, FileReader};
use deltalake::parquet::file::serialized_reader::SerializedFileReader;

use super::arrow;
use super::needles::Needles;
use super::object::Failed;
use super::report::{Looked, Place};
use super::text;
use crate::lake::watch::Watch;

/// Rows that are decoded at once.
const ROWS: usize = 4096;

/// Looks into a file; its bytes as a whole are looked at elsewhere.
pub(super) fn file<R: ChunkReader + 'static>(
    needles: &Needles,
    pages: R,
    rows: R,
    looked: &mut Looked,
    watch: &Watch,
) -> Result<(), Failed> {
    looked.parquet = true;
    let file = SerializedFileReader::new(pages)?;
    let mut expected = 0;
    for group in 0..file.num_row_groups() {
        let group = file.get_row_group(group)?;
        expected += u64::try_from(group.metadata().num_rows()).unwrap_or_default();
        for column in 0..group.num_columns() {
            let mut pages = group.get_column_page_reader(column)?;
            while let Some(page) = pages.get_next_page()? {
                watch.go_on().map_err(|_| Failed::Stopped)?;
                looked.pages += 1;
                let mut found = BTreeSet::new();
                text::search(needles, page.buffer(), &mut found);
                looked.note_single(needles, Place::Page, &found);
            }
        }
    }
    let read = ParquetRecordBatchReaderBuilder::try_new(rows)?;
    // Metadata of columns may be encoded in the footer.
    let mut found = BTreeSet::new();
    text::search(needles, format!("{:?}", read.schema()).as_bytes(), &mut found);
    for entry in read.metadata().file_metadata().key_value_metadata().into_iter().flatten() {
        let value = entry.value.as_deref().unwrap_or_default();
        text::search(needles, value.as_bytes(), &mut found);
    }
    looked.note(needles, Place::Content, &found);
    let before = looked.rows;
    for batch in read.with_batch_size(ROWS).build()? {
        watch.go_on().map_err(|_| Failed::Stopped)?;
        arrow::batch(needles, &batch?, looked)?;
    }
    match looked.rows - before {
        rows if rows == expected => Ok(()),
        rows => Err(Failed::Unreadable(format!("{rows} of {expected} rows were read"))),
    }
}
