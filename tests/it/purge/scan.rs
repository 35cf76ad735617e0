//! The scan sees what is there, wherever it is, and says what it could not see.

use std::sync::Arc;

use deltalake::arrow::array::{ArrayRef, DictionaryArray, Int64Array, RecordBatch, StringArray};
use deltalake::arrow::datatypes::Int32Type;
use deltalake::arrow::ipc::CompressionType;
use deltalake::arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use deltalake::parquet::arrow::ArrowWriter;
use deltalake::parquet::basic::{Compression, Encoding, ZstdLevel};
use deltalake::parquet::file::metadata::KeyValue;
use deltalake::parquet::file::properties::{EnabledStatistics, WriterProperties};
use stedi_server::lake::{
    LakeError, Needle, Needles, Place, ScanMatch, ScanProgress, ScanReport, ScanScope, Watch,
};

use crate::support::TestLake;

const TEXT: &str = "ada+lovelace@example.com";

fn put(lake: &TestLake, name: &str, bytes: impl AsRef<[u8]>) {
    let path = lake.root().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

async fn scan(lake: &TestLake, needles: Vec<Needle>, scope: &ScanScope) -> ScanReport {
    let needles = Arc::new(Needles::new(needles).unwrap());
    let progress = Arc::new(ScanProgress::default());
    let watch = Arc::new(Watch::default());
    let report = lake.app.lake.scan(&needles, scope, &progress, &watch).await.unwrap();
    let done = progress.done.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(done, report.objects, "{report:?}");
    report
}

fn places(report: &ScanReport, object: &str) -> Vec<Place> {
    let of = report.matches.iter().filter(|found| found.object == object);
    of.map(|found: &ScanMatch| found.place).collect()
}

/// Parquet of one column, in which the text is in the 5,001st of 9,000 rows.
fn parquet(properties: WriterProperties, text: &str) -> Vec<u8> {
    let rows = (0..9_000).map(|n| if n == 5_000 { text.to_owned() } else { format!("row {n}") });
    let text: ArrayRef = Arc::new(StringArray::from_iter_values(rows));
    let batch = RecordBatch::try_from_iter([("text", text)]).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn zstd() -> deltalake::parquet::file::properties::WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).unwrap()))
        .set_statistics_enabled(EnabledStatistics::None)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_encoding_and_every_place() {
    let lake = TestLake::new().await;
    let dictionary = zstd().build();
    let plain = zstd().set_dictionary_enabled(false).build();
    let prefixes =
        zstd().set_dictionary_enabled(false).set_encoding(Encoding::DELTA_BYTE_ARRAY).build();
    let lengths = zstd()
        .set_dictionary_enabled(false)
        .set_encoding(Encoding::DELTA_LENGTH_BYTE_ARRAY)
        .build();
    let metadata = zstd()
        .set_key_value_metadata(Some(vec![KeyValue::new("from".to_owned(), TEXT.to_owned())]))
        .build();
    let statistics = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).unwrap()))
        .set_statistics_enabled(EnabledStatistics::Page)
        .build();
    put(&lake, "trusted/a.parquet", parquet(dictionary, TEXT));
    put(&lake, "trusted/b.parquet", parquet(plain, TEXT));
    // What it shares with the value before it is not stored again: no page holds all of it.
    put(&lake, "trusted/c.parquet", parquet(prefixes, &format!("row 4999, {TEXT}")));
    put(&lake, "trusted/d.parquet", parquet(lengths, TEXT));
    put(&lake, "trusted/e.parquet", parquet(metadata, "nobody"));
    put(&lake, "trusted/f.parquet", parquet(statistics, &format!("zz {TEXT}")));
    put(&lake, "trusted/g.parquet", parquet(zstd().build(), r"ada\u002blovelace\u0040example.com"));
    put(&lake, &format!("trusted/{TEXT}/x.bin"), [0, 1, 2]);
    put(&lake, "trusted/of=ada%2Blovelace%40EXAMPLE.com", "");
    put(&lake, "trusted/h.json", r#"{"a":"{\"b\":\"ada+lovelace\\u0040example.com\"}"}"#);
    put(&lake, "trusted/i.gz", gzip(TEXT));
    put(&lake, "trusted/j", zstd::stream::encode_all(TEXT.as_bytes(), 1).unwrap());
    let values = StringArray::from(vec!["nobody", TEXT]);
    let keys = deltalake::arrow::array::Int32Array::from(vec![0, 0]);
    // A value of the dictionary that no row has.
    let column = DictionaryArray::<Int32Type>::try_new(keys, Arc::new(values)).unwrap();
    put(&lake, "trusted/k", arrow(Arc::new(column)));
    put(&lake, "trusted/.hidden/l#1", TEXT);
    let report = scan(&lake, vec![Needle::any_case("email", TEXT)], &ScanScope::all()).await;
    for (object, expected) in [
        ("trusted/a.parquet", vec![Place::Page, Place::Row]),
        ("trusted/b.parquet", vec![Place::Page, Place::Row]),
        ("trusted/d.parquet", vec![Place::Page, Place::Row]),
        ("trusted/e.parquet", vec![Place::Bytes, Place::Content]),
        ("trusted/f.parquet", vec![Place::Bytes, Place::Page, Place::Row]),
        ("trusted/g.parquet", vec![Place::Page, Place::Row]),
        ("trusted/of=ada%2Blovelace%40EXAMPLE.com", vec![Place::Name]),
        ("trusted/h.json", vec![Place::Bytes]),
        ("trusted/i.gz", vec![Place::Content]),
        // What is so short is stored as it is.
        ("trusted/j", vec![Place::Bytes, Place::Content]),
        ("trusted/k", vec![Place::Bytes, Place::Row]),
        ("trusted/.hidden/l#1", vec![Place::Bytes]),
    ] {
        assert_eq!(places(&report, object), expected, "{object}");
    }
    assert_eq!(places(&report, &format!("trusted/{TEXT}/x.bin")), [Place::Name]);
    assert!(places(&report, "trusted/c.parquet").contains(&Place::Row), "{report:?}");
    assert!(report.unverified.is_empty(), "{report:?}");
    assert!(report.parquet_files >= 7 && report.rows >= 63_000, "{report:?}");
    // Nobody else is found, and nothing out of scope.
    let other = scan(&lake, vec![Needle::any_case("email", "bob@x")], &ScanScope::all()).await;
    assert!(other.clean(), "{other:?}");
    assert_eq!((other.objects, other.bytes), (report.objects, report.bytes));
    let needle = || vec![Needle::any_case("email", TEXT)];
    let outside = scan(&lake, needle(), &ScanScope::except(&["trusted"])).await;
    assert!(outside.clean(), "{outside:?}");
    assert_eq!(outside.objects + outside.out_of_scope, report.objects);
}

fn gzip(text: &str) -> Vec<u8> {
    use std::io::Write;
    let mut bytes = Vec::new();
    // In two members.
    for part in [text.split_at(5).0, text.split_at(5).1] {
        let mut encoder = flate2::write::GzEncoder::new(bytes, flate2::Compression::fast());
        encoder.write_all(part.as_bytes()).unwrap();
        bytes = encoder.finish().unwrap();
    }
    bytes
}

fn arrow(column: ArrayRef) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter([("x", column)]).unwrap();
    let options =
        IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD)).unwrap();
    let mut writer =
        StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_not_clean() {
    let lake = TestLake::new().await;
    let whole = parquet(zstd().build(), "nobody");
    let mut broken = whole.clone();
    // In the middle of a page.
    broken[whole.len() / 3..][..40].fill(0x55);
    put(&lake, "trusted/cut.parquet", &whole[..whole.len() - 20]);
    put(&lake, "trusted/broken.parquet", broken);
    put(&lake, "trusted/text.parquet", "no Parquet at all");
    put(&lake, "trusted/draft.parquet#1", "no Parquet at all");
    put(&lake, "trusted/secret.parquet", [b"PARE", whole.as_slice(), b"PARE"].concat());
    put(&lake, "trusted/cut.gz", &gzip("some text")[..15]);
    put(&lake, "trusted/cut.arrow", [0xff, 0xff, 0xff, 0xff, 9, 9]);
    put(&lake, "trusted/in.gz", {
        use std::io::Write;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&whole).unwrap();
        encoder.finish().unwrap()
    });
    put(&lake, "trusted/empty.parquet", "");
    put(&lake, "trusted/whole.parquet", &whole);
    std::os::unix::fs::symlink(lake.root(), lake.root().join("trusted/link")).unwrap();
    let report = scan(&lake, vec![Needle::exact("email", TEXT)], &ScanScope::all()).await;
    let mut unverified: Vec<&str> =
        report.unverified.iter().map(|it| it.object.rsplit('/').next().unwrap()).collect();
    unverified.sort_unstable();
    let expected = [
        "broken.parquet",
        "cut.arrow",
        "cut.gz",
        "cut.parquet",
        "draft.parquet#1",
        "in.gz",
        "link",
        "secret.parquet",
        "text.parquet",
    ];
    assert_eq!(unverified, expected, "{report:?}");
    assert!(!report.clean() && report.found == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_counts_together_with_its_birthday_only() {
    let lake = TestLake::new().await;
    let person = || vec![Needle::together("person", &["Ann Lee", "1970-01-01"])];
    let file = |rows: [(&str, &str); 2]| {
        let column = |values: [&str; 2]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
        let number = Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef;
        let columns = [
            ("name", column(rows.map(|row| row.0))),
            ("n", number),
            ("born", column(rows.map(|row| row.1))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap()
    };
    put(&lake, "trusted/others", file([("Ann Lee", "1981-02-03"), ("Bob", "1970-01-01")]));
    assert!(scan(&lake, person(), &ScanScope::all()).await.clean());
    put(&lake, "trusted/hers", file([("Bob", "1981-02-03"), ("ANN LEE", "1970-01-01")]));
    put(&lake, "trusted/text", r#"{"n":"Ann Lee","b":"1970-01-01"}"#);
    let report = scan(&lake, person(), &ScanScope::all()).await;
    let found: Vec<&str> = report.matches.iter().map(|it| it.object.as_str()).collect();
    assert_eq!(found, ["trusted/hers", "trusted/text"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_objects_are_read_in_pieces_and_a_cancel_ends_it() {
    let lake = TestLake::new().await;
    // Across the border of two pieces.
    let mut large = vec![b'.'; 20 << 20];
    let at = (256 << 10) * 3 - 7;
    large[at..at + TEXT.len()].copy_from_slice(TEXT.as_bytes());
    put(&lake, "system/large", &large);
    let report = scan(&lake, vec![Needle::exact("email", TEXT)], &ScanScope::all()).await;
    assert_eq!(places(&report, "system/large"), [Place::Bytes]);
    let needles = Arc::new(Needles::new(vec![Needle::exact("email", TEXT)]).unwrap());
    let watch = Arc::new(Watch::default());
    watch.cancel.cancel();
    let progress = Arc::new(ScanProgress::default());
    let stopped = lake.app.lake.scan(&needles, &ScanScope::all(), &progress, &watch).await;
    assert!(matches!(stopped, Err(LakeError::Cancelled)), "{stopped:?}");
    // Nothing is left of what was spilled.
    let spill = std::fs::read_dir(lake.config.state_dir.join("spill")).unwrap();
    let folders = spill.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    for folder in folders {
        let left = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
        let left: Vec<_> = left.filter(|it| it.to_string_lossy().starts_with("scan-")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
