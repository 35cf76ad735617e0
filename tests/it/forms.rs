//! Every form in which the published revisions come, and every form in which they could be sent.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::support::TestLake;

const A: &str = r#"{"sensorReadingTime":1,"serialNumber":"d","distanceFromObject":1}"#;
const B: &str = r#"{"sensorReadingTime":2,"serialNumber":"d","distanceFromObject":2}"#;
const C: &str = r#"{"sensorReadingTime":3,"serialNumber":"d","distanceFromObject":3}"#;

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn files() {
    let lines = format!("{A}\n{B}\n{C}\n");
    let long = format!("{A}{}\n{B}\n{C}", " ".repeat(600_000));
    let two_members = [gzip(&format!("{A}\n")), gzip(&format!("{B}\n{C}\n"))].concat();
    let mut cut_gzip = gzip(&format!("{lines}{}", "\n".repeat(100_000)));
    cut_gzip.truncate(cut_gzip.len() - 12);
    let good = [
        ("lines", lines.clone().into_bytes()),
        ("no line break at the end", format!("{A}\n{B}\n{C}").into_bytes()),
        ("Windows line breaks", format!("{A}\r\n{B}\r\n{C}\r\n").into_bytes()),
        ("blank lines", format!("\n\n{A}\n\n{B}\n \n{C}\n\n").into_bytes()),
        ("joined", format!("{A}{B}{C}").into_bytes()),
        ("commas behind records", format!("{A},\n{B},\n{C},\n").into_bytes()),
        ("an array", format!("[{A},{B},{C}]").into_bytes()),
        ("an array over lines", format!("[\n  {A},\n  {B},\n  {C}\n]\n").into_bytes()),
        ("two arrays", format!("[{A},{B}]\n[{C}]").into_bytes()),
        ("an array that is not closed", format!("[{A},{B},{C}").into_bytes()),
        ("byte order mark", format!("\u{feff}{lines}").into_bytes()),
        ("over lines", lines.replace(',', ",\n  ").into_bytes()),
        ("longer than a chunk", long.into_bytes()),
        ("gzip", gzip(&lines)),
        ("gzip in members", two_members),
        ("zstd", zstd::encode_all(lines.as_bytes(), 1).unwrap()),
    ];
    for (form, bytes) in good {
        let lake = TestLake::new().await;
        let result = lake.load("step_trainer_landing", bytes).await;
        assert_eq!((result.accepted, result.rejected), (3, 0), "{form}: {:?}", result.rejects);
        let sum = "SELECT sum(distancefromobject), max(load_position) FROM step_trainer_landing";
        assert_eq!(lake.select(sum).await, [["6.0", "2"]], "{form}");
    }

    let whole = zstd::encode_all(lines.as_bytes(), 1).unwrap();
    let damaged = [
        ("cut off", format!("{A}\n{B}\n{C}\n{}", &A[..30]).into_bytes(), 3, 1),
        ("cut off behind a comma", format!("{A}\n{B}\n{C}\n{{\"a\":1,").into_bytes(), 3, 1),
        ("cut off gzip", cut_gzip, 3, 1),
        ("cut off zstd", whole[..whole.len() - 3].to_vec(), 0, 1),
        ("a broken line", format!("{A}\n{{\"a\":}}\n{B}\n{C}").into_bytes(), 3, 1),
        ("a line that is no record", format!("{A}\nhello\n{B}\n{C}").into_bytes(), 3, 1),
        ("a quote too many", format!("{A}\n{{\"a\":\"b,\"c\":1}}\n{B}\n{C}").into_bytes(), 3, 1),
        ("a quote too many, joined", format!("{A}{{\"a\":\"b,\"c\":1}}{B}{C}").into_bytes(), 3, 1),
        ("no closing brace, joined", format!("{A}{}{B}{C}", &A[..A.len() - 1]).into_bytes(), 3, 1),
        (
            "cut off in an array over indented lines",
            format!("[\n  {A},\n  {},\n  {B},\n  {C}\n]", &A[..30]).into_bytes(),
            3,
            1,
        ),
        (
            "cut off in front of commas",
            format!("{A}\n,{}\n,{B}\n,{C}", &A[..30]).into_bytes(),
            3,
            1,
        ),
        ("a cut off line", format!("{A}\n{}\n{B}\n{C}", &A[..30]).into_bytes(), 3, 1),
        ("numbers in an array", format!("[1,\n{A},{B},{C}]").into_bytes(), 3, 1),
        ("nothing but a string", b"\"hello\"".to_vec(), 0, 1),
        (
            "not UTF-8",
            [A.as_bytes(), b"{\"a\":\"\xff\"}", B.as_bytes(), C.as_bytes()].concat(),
            3,
            1,
        ),
        ("nothing", b"".to_vec(), 0, 0),
        ("an empty array", b"[]".to_vec(), 0, 0),
    ];
    for (form, bytes, accepted, rejected) in damaged {
        let lake = TestLake::new().await;
        let result = lake.load("step_trainer_landing", bytes).await;
        let counts = (result.accepted, result.rejected);
        assert_eq!(counts, (accepted, rejected), "{form}: {:?}", result.rejects);
        let tables = ["step_trainer_landing", "step_trainer_landing_rejected"];
        let rows = lake.counts(tables).await;
        assert_eq!(rows, [accepted as usize, rejected as usize], "{form}");
    }
}

/// Fields of a customer record besides the e-mail and the date, and what is stored of them.
#[tokio::test(flavor = "multi_thread")]
async fn customer_fields() {
    let cases = [
        (
            r#""shareWithResearchAsOfDate":1655564376361"#,
            "sharewithresearchasofdate",
            "1655564376361",
        ),
        (
            r#""shareWithResearchAsOfDate":1655564376361.0"#,
            "sharewithresearchasofdate",
            "1655564376361",
        ),
        (
            r#""shareWithResearchAsOfDate":1.655564376361E12"#,
            "sharewithresearchasofdate",
            "1655564376361",
        ),
        (
            r#""shareWithResearchAsOfDate":"1655564376361""#,
            "sharewithresearchasofdate",
            "1655564376361",
        ),
        (r#""SHAREWITHRESEARCHASOFDATE":7"#, "sharewithresearchasofdate", "7"),
        (r#""share_with_research_as_of_date":7"#, "sharewithresearchasofdate", "7"),
        (r#""shareWithResearchAsOfDate":null"#, "sharewithresearchasofdate", "NULL"),
        (r#""shareWithResearchAsOfDate":"""#, "sharewithresearchasofdate", "NULL"),
        (r#""shareWithResearchAsOfDate":0"#, "sharewithresearchasofdate", "NULL"),
        (r#""shareWithResearchAsOfDate":0.0"#, "sharewithresearchasofdate", "NULL"),
        (r#""shareWithResearchAsOfDate":-5"#, "sharewithresearchasofdate", "NULL"),
        (r#""shareWithResearchAsOfDate":"yes""#, "sharewithresearchasofdate", "NULL"),
        (r#""shareWithResearchAsOfDate":true"#, "sharewithresearchasofdate", "NULL"),
        (r#""shareWithResearchAsOfDate":[1]"#, "sharewithresearchasofdate", "NULL"),
        (r#""shareWithResearchAsOfDate":1655564376361.5"#, "sharewithresearchasofdate", "NULL"),
        (r#""phone":8015551212"#, "phone", "8015551212"),
        (r#""phone":8015551212.0"#, "phone", "8015551212"),
        (r#""phone":"801-555-1212""#, "phone", "801-555-1212"),
        (r#""phone":null"#, "phone", "NULL"),
        (r#""serialNumber":" d1 ""#, "serialnumber", "d1"),
        (r#""serialNumber":"D1""#, "serialnumber", "D1"),
        (r#""serialNumber":"""#, "serialnumber", "NULL"),
        (r#""serialNumber":null"#, "serialnumber", "NULL"),
        (r#""customerName":"Z\u00fc \"x\"""#, "customername", "Zü \"x\""),
        (r#""birthDay":"1900-01-01""#, "birthday", "1900-01-01"),
    ];
    let lake = TestLake::new().await;
    for (number, (field, _, _)) in cases.iter().enumerate() {
        let record = format!(r#"{{"email":"{number}@b","lastUpdateDate":1,{field}}}"#);
        let result = lake.load("customer_landing", record).await;
        assert_eq!(result.accepted, 1, "{field}: {:?}", result.rejects);
    }
    for (number, (field, column, stored)) in cases.iter().enumerate() {
        let sql = format!("SELECT {column} FROM customer_landing WHERE email = '{number}@b'");
        assert_eq!(lake.select(&sql).await, [[*stored]], "{field}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn times_under_every_name_and_zeros_without_a_sign() {
    let lake = TestLake::new().await;
    for (number, name) in ["timestamp", "timeStamp", "TIMESTAMP", "time_stamp"].iter().enumerate() {
        let record = format!(r#"{{"user":"A@b","{name}":{},"x":-0.0,"y":1,"z":0.5}}"#, number + 1);
        assert_eq!(lake.load("accelerometer_landing", record).await.accepted, 1, "{name}");
    }
    let rows = lake
        .select("SELECT a.timestamp, a.user, x, y, z FROM accelerometer_landing AS a ORDER BY 1")
        .await;
    let expected: Vec<_> = (1..=4)
        .map(|time| [&time.to_string(), "a@b", "0.0", "1.0", "0.5"].map(String::from))
        .collect();
    assert_eq!(rows, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_fields_are_kept_out_and_counted() {
    let lake = TestLake::new().await;
    let records = r#"
        {"email":"a@b","lastUpdateDate":1,"shoeSize":44,"nested":{"email":"c@d"}}
        {"email":"c@d","lastUpdateDate":1,"shoeSize":[1,2]}"#;
    let result = lake.load("customer_landing", records).await;
    assert_eq!(result.accepted, 2);
    let counts: Vec<_> = result.unknown_fields.into_iter().collect();
    assert_eq!(counts, [("nested".to_owned(), 1), ("shoeSize".to_owned(), 2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_content_is_loaded_once_however_it_is_packed() {
    let lake = TestLake::new().await;
    let text = format!("{A}\n{B}\nbroken\n");
    let first = lake.load("step_trainer_landing", text.clone()).await;
    assert_eq!((first.accepted, first.rejected, first.duplicate), (2, 1, 0));
    for again in [text.clone().into_bytes(), gzip(&text)] {
        let result = lake.load("step_trainer_landing", again).await;
        let counts = (result.received, result.accepted, result.rejected, result.duplicate);
        assert_eq!(counts, (3, 0, 0, 3));
        assert_eq!(result.version, first.version);
    }
    let tables = ["step_trainer_landing", "step_trainer_landing_rejected"];
    assert_eq!(lake.counts(tables).await, [2, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_content_at_the_same_time_is_loaded_once() {
    let lake = TestLake::new().await;
    let text = format!("{A}\n{B}\nbroken\n");
    let table = "step_trainer_landing";
    let load = || lake.load(table, text.clone());
    let results = futures::join!(load(), load(), load(), load());
    let results = [results.0, results.1, results.2, results.3];
    assert_eq!(results.iter().map(|result| result.accepted).sum::<u64>(), 2);
    assert_eq!(results.iter().filter(|result| result.duplicate == 3).count(), 3);
    assert_eq!(lake.counts([table, "step_trainer_landing_rejected"]).await, [2, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn different_contents_at_the_same_time_are_all_loaded() {
    let lake = TestLake::new().await;
    let load = |time: u32| {
        let record =
            format!(r#"{{"sensorReadingTime":{time},"serialNumber":"d","distanceFromObject":1}}"#);
        lake.load("step_trainer_landing", record)
    };
    let results = futures::future::join_all((1..=8).map(load)).await;
    assert!(results.iter().all(|result| result.accepted == 1), "{results:?}");
    assert_eq!(lake.count("step_trainer_landing").await, 8);
    let loads = "SELECT count(DISTINCT load_sequence) FROM step_trainer_landing";
    assert_eq!(lake.select(loads).await, [["8"]]);
}
