//! Plans as text, without the names and places of files.

use std::sync::Arc;

use deltalake::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use deltalake::arrow::datatypes::DataType;
use deltalake::datafusion::common::Result;

/// What a scan's list of files begins with.
const FILES: &str = "file_groups={";

/// The lines of a plan with the number of files in the place of their names.
pub(super) fn without_paths(batch: &RecordBatch) -> Result<RecordBatch> {
    let columns = batch.columns().iter().map(|column| match column.data_type() {
        DataType::Utf8 => {
            let texts = column.as_string::<i32>().iter();
            let texts: StringArray = texts.map(|text| text.map(without_files)).collect();
            Arc::new(texts) as ArrayRef
        }
        _ => Arc::clone(column),
    });
    Ok(RecordBatch::try_new(batch.schema(), columns.collect())?)
}

fn without_files(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(FILES) {
        let (before, files) = rest.split_at(at);
        out.push_str(before);
        let end = files.find("]]}").map(|end| end + 3).or_else(|| files.find('\n'));
        let (files, after) = files.split_at(end.unwrap_or(files.len()));
        let count = files.matches(".parquet").count();
        out.push_str(&format!("files={count}"));
        rest = after;
    }
    out.push_str(rest);
    without_names(&out)
}

/// What stands around a file's name: of metrics `{filename=a/b.parquet:0..9}`.
const AROUND: [char; 12] = [' ', ',', '=', '{', '}', '[', ']', '(', ')', '"', '\'', '\n'];

/// The text without names of files, wherever else they are.
fn without_names(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for piece in text.split_inclusive(AROUND) {
        let name = piece.strip_suffix(AROUND).unwrap_or(piece);
        match name.contains(".parquet") {
            true => out.push_str("file"),
            false => out.push_str(name),
        }
        out.push_str(&piece[name.len()..]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_counted_and_not_named() {
        let plan = "Scan: file_groups={2 groups: [[a/b/part-1.parquet:0..9], [c/d.parquet]]}, \
                    projection=[x]\n  Scan: file_groups={1 group: [[e/f.parquet]]}, x=1";
        let expected = "Scan: files=2, projection=[x]\n  Scan: files=1, x=1";
        assert_eq!(without_files(plan), expected);
        let metrics = "opened{partition=0, filename=a/b/part-1.parquet:0..9}=1, é='x'";
        assert_eq!(without_files(metrics), "opened{partition=0, filename=file}=1, é='x'");
        assert_eq!(without_files("file_groups={1 group: [[/secret"), "files=0");
    }
}
