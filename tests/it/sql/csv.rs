//! Our CSV is that of Arrow's own writer, but for texts that are empty and values that are not there.

use std::sync::Arc;

use deltalake::arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array,
    Float64Array, Int8Array, Int64Array, LargeStringArray, RecordBatch, StringArray,
    StringViewArray, TimestampMicrosecondArray, UInt64Array,
};
use deltalake::arrow::csv::WriterBuilder;
use deltalake::arrow::datatypes::Int32Type;
use proptest::prelude::*;
use stedi_server::query::Format;

fn ours(batches: &[RecordBatch]) -> String {
    let mut out = Vec::new();
    let mut encoder = Format::Csv.encoder(batches[0].schema()).unwrap();
    for batch in batches {
        encoder.rows(batch, &mut out).unwrap();
    }
    encoder.end(0, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn theirs(batches: &[RecordBatch]) -> String {
    let mut out = Vec::new();
    let mut writer = WriterBuilder::new().with_header(true).build(&mut out);
    for batch in batches {
        writer.write(batch).unwrap();
    }
    drop(writer);
    String::from_utf8(out).unwrap()
}

type Row = (
    (Option<String>, Option<String>, Option<String>, Option<String>),
    (Option<i64>, Option<i8>, Option<u64>, Option<f64>, Option<f32>),
    (Option<bool>, Option<i32>, Option<i64>, Option<i128>),
);

/// A text that is not empty, with what needs quotes in half of them.
fn text() -> impl Strategy<Value = Option<String>> {
    prop::option::of(prop_oneof!["[a-z \u{e9}\u{1F600}]{1,8}", "[a,\"\r\n']{1,6}"])
}

fn row() -> impl Strategy<Value = Row> {
    use prop::option::of;
    let double = prop_oneof![any::<f64>(), -1e3..1e3_f64, (-9i32..9).prop_map(f64::from)];
    (
        (text(), text(), text(), text()),
        (of(any::<i64>()), of(any::<i8>()), of(any::<u64>()), of(double), of(any::<f32>())),
        (of(any::<bool>()), of(-9999..99999_i32), of(-1i64 << 50..1 << 50), of(-999..999_i128)),
    )
}

fn batch(rows: &[Row]) -> RecordBatch {
    let column = |name: &str, array: ArrayRef| (name.to_owned(), array, true);
    let texts = |of: fn(&Row) -> &Option<String>| rows.iter().map(move |row| of(row).as_deref());
    let dictionary: DictionaryArray<Int32Type> = texts(|row| &row.0.3).collect();
    let decimals: Decimal128Array = rows.iter().map(|row| row.2.3).collect();
    let columns = [
        column("text", Arc::new(texts(|row| &row.0.0).collect::<StringArray>())),
        column("large, text", Arc::new(texts(|row| &row.0.1).collect::<LargeStringArray>())),
        column("view \"text\"", Arc::new(texts(|row| &row.0.2).collect::<StringViewArray>())),
        column("dictionary", Arc::new(dictionary)),
        column("i64", Arc::new(rows.iter().map(|row| row.1.0).collect::<Int64Array>())),
        column("i8", Arc::new(rows.iter().map(|row| row.1.1).collect::<Int8Array>())),
        column("u64", Arc::new(rows.iter().map(|row| row.1.2).collect::<UInt64Array>())),
        column("f64", Arc::new(rows.iter().map(|row| row.1.3).collect::<Float64Array>())),
        column("f32", Arc::new(rows.iter().map(|row| row.1.4).collect::<Float32Array>())),
        column("bool", Arc::new(rows.iter().map(|row| row.2.0).collect::<BooleanArray>())),
        column("date", Arc::new(rows.iter().map(|row| row.2.1).collect::<Date32Array>())),
        column(
            "time",
            Arc::new(rows.iter().map(|row| row.2.2).collect::<TimestampMicrosecondArray>()),
        ),
        column("decimal", Arc::new(decimals.with_precision_and_scale(9, 2).unwrap())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_text_is_that_of_arrow(rows in prop::collection::vec(row(), 1..40), cut in 0..40usize) {
        let (one, other) = rows.split_at(cut.min(rows.len()));
        let batches = [batch(one), batch(other)];
        prop_assert_eq!(ours(&batches), theirs(&batches));
        // Offsets of a slice count.
        let part = batch(&rows).slice(cut.min(rows.len()), rows.len() - cut.min(rows.len()));
        prop_assert_eq!(ours(std::slice::from_ref(&part)), theirs(&[part]));
    }
}

#[test]
fn an_empty_text_is_told_from_no_value() {
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some(""), None, Some("x")]));
    let one = RecordBatch::try_from_iter([("t", Arc::clone(&texts))]).unwrap();
    assert_eq!(ours(&[one]), "t\n\"\"\n\nx\n");
    let two = RecordBatch::try_from_iter([("t", Arc::clone(&texts)), ("u", texts)]).unwrap();
    assert_eq!(ours(&[two]), "t,u\n\"\",\"\"\n,\nx,x\n");
}
