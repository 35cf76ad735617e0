//! One result in every format.

use std::io::Cursor;

use axum::body::Bytes;
use deltalake::arrow::array::RecordBatch;
use deltalake::arrow::ipc::reader::StreamReader;
use deltalake::arrow::util::pretty::pretty_format_batches;
use deltalake::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use stedi_server::auth::Role;

use crate::support::{Answered, TestLake, TestServer, answered, many};

const ARROW: &str = "application/vnd.apache.arrow.stream";
const PARQUET: &str = "application/vnd.apache.parquet";

/// Quotes, a line break, nulls, an empty text.
const MIXED: &str = "SELECT * FROM (VALUES (1, 'a,\"b\"', CAST(NULL AS DOUBLE), true), \
                     (2, 'x\ny', 1.5, false), (3, '', 0.1, NULL)) AS t(n, s, f, b) ORDER BY n";

async fn served() -> (TestLake, TestServer) {
    let lake = TestLake::new().await;
    let server = TestServer::start(&lake.config).await;
    (lake, server)
}

async fn of(server: &TestServer, accept: &str, sql: &str) -> Answered {
    answered(server.statement(Role::Analyst, sql).header("accept", accept)).await
}

/// The batches of an Arrow stream that is whole: behind them there is only the end's marker.
pub fn arrow(body: &[u8]) -> Vec<RecordBatch> {
    assert!(body.ends_with(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]), "the stream has no end");
    let reader = StreamReader::try_new(Cursor::new(body), None).unwrap();
    reader.map(Result::unwrap).collect()
}

pub fn parquet(body: Vec<u8>) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(body)).unwrap();
    reader.build().unwrap().map(Result::unwrap).collect()
}

pub fn pretty(batches: &[RecordBatch]) -> String {
    pretty_format_batches(batches).unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_statement_in_every_format() {
    let (_lake, server) = served().await;
    let answer = of(&server, "application/json", MIXED).await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("vary").to_lowercase(), "accept, authorization");
    assert_eq!(
        answer.json(),
        json!({
            "columns": [
                { "name": "n", "type": "BIGINT" },
                { "name": "s", "type": "VARCHAR" },
                { "name": "f", "type": "DOUBLE" },
                { "name": "b", "type": "BOOLEAN" },
            ],
            "rows": [[1, "a,\"b\"", null, true], [2, "x\ny", 1.5, false], [3, "", 0.1, null]],
            "row_count": 3,
        })
    );
    // The types that are said are those of the wire.
    let typed: stedi_openapi::SqlResult = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(typed.row_count, 3);

    for name in ["application/x-ndjson", "application/ndjson", "application/jsonl"] {
        let answer = of(&server, name, MIXED).await;
        assert_eq!(answer.header("content-type"), "application/x-ndjson");
        assert_eq!(
            answer.text(),
            "{\"n\":1,\"s\":\"a,\\\"b\\\"\",\"f\":null,\"b\":true}\n\
             {\"n\":2,\"s\":\"x\\ny\",\"f\":1.5,\"b\":false}\n\
             {\"n\":3,\"s\":\"\",\"f\":0.1,\"b\":null}\n\
             {\"end\":{\"row_count\":3}}\n"
        );
    }
    let answer = of(&server, "text/csv", MIXED).await;
    assert_eq!(answer.header("content-type"), "text/csv; charset=utf-8; header=present");
    let expected = "n,s,f,b\n1,\"a,\"\"b\"\"\",,true\n2,\"x\ny\",1.5,false\n3,\"\",0.1,\n";
    assert_eq!(answer.text(), expected);

    let answer = of(&server, ARROW, MIXED).await;
    assert_eq!(answer.header("content-type"), ARROW);
    let streamed = pretty(&arrow(&answer.body));
    assert_eq!(
        streamed,
        "+---+-------+-----+-------+\n\
         | n | s     | f   | b     |\n\
         +---+-------+-----+-------+\n\
         | 1 | a,\"b\" |     | true  |\n\
         | 2 | x     | 1.5 | false |\n\
         |   | y     |     |       |\n\
         | 3 |       | 0.1 |       |\n\
         +---+-------+-----+-------+"
    );
    let answer = of(&server, PARQUET, MIXED).await;
    assert_eq!(answer.header("content-type"), PARQUET);
    assert_eq!(pretty(&parquet(answer.body)), streamed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_without_rows_has_its_columns() {
    let (_lake, server) = served().await;
    let sql = "SELECT serialnumber, x FROM machine_learning_curated WHERE x > 1e9";
    let answer = of(&server, "application/json", sql).await.json();
    let columns =
        json!([{ "name": "serialnumber", "type": "VARCHAR" }, { "name": "x", "type": "DOUBLE" }]);
    assert_eq!(answer, json!({ "columns": columns, "rows": [], "row_count": 0 }));
    let answer = of(&server, "application/x-ndjson", sql).await;
    assert_eq!(answer.text(), "{\"end\":{\"row_count\":0}}\n");
    assert_eq!(of(&server, "text/csv", sql).await.text(), "serialnumber,x\n");
    let answer = of(&server, ARROW, sql).await;
    let reader = StreamReader::try_new(Cursor::new(&answer.body), None).unwrap();
    assert_eq!(reader.schema().field(1).name(), "x");
    assert_eq!(reader.count(), 0);
    let answer = of(&server, PARQUET, sql).await;
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(answer.body)).unwrap();
    assert_eq!(reader.schema().field(0).name(), "serialnumber");
    assert_eq!(reader.metadata().file_metadata().num_rows(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_of_one_name_get_names_that_differ() {
    let (_lake, server) = served().await;
    let sql = "SELECT a.n, b.n, c.n, 7 AS n_2 FROM (VALUES (1)) a(n), (VALUES (2)) b(n), \
               (VALUES (3)) c(n)";
    let answer = of(&server, "application/x-ndjson", sql).await;
    let first = answer.text().lines().next().unwrap();
    assert_eq!(first, "{\"n\":1,\"n_3\":2,\"n_4\":3,\"n_2\":7}");
    assert_eq!(of(&server, "text/csv", sql).await.text(), "n,n_3,n_4,n_2\n1,2,3,7\n");
    for batches in
        [arrow(&of(&server, ARROW, sql).await.body), parquet(of(&server, PARQUET, sql).await.body)]
    {
        let names: Vec<_> =
            batches[0].schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, ["n", "n_3", "n_4", "n_2"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn long_results_are_whole_in_every_format() {
    const ROWS: u64 = 30_000;
    let (_lake, server) = served().await;
    let sql = many(ROWS);
    let sum = |numbers: &mut dyn Iterator<Item = i64>| -> i64 { numbers.sum() };
    let expected = (0..ROWS as i64).sum::<i64>();
    let json = of(&server, "application/json", &sql).await.json();
    assert_eq!(json["row_count"], ROWS);
    let rows = json["rows"].as_array().unwrap();
    assert_eq!(rows.len() as u64, ROWS);
    let mut seen: Vec<i64> = rows.iter().map(|row| row[0].as_i64().unwrap()).collect();
    seen.sort_unstable();
    seen.dedup();
    // LIMIT may take any rows, but each once.
    assert_eq!(seen.len() as u64, ROWS);
    let full = format!("SELECT n, s FROM ({}) WHERE n < {ROWS}", many(100_000));
    let lines = of(&server, "application/x-ndjson", &full).await;
    let lines: Vec<Value> =
        lines.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.last().unwrap(), &json!({ "end": { "row_count": ROWS } }));
    let numbers = &mut lines.iter().filter_map(|line| line["n"].as_i64());
    assert_eq!(sum(numbers), expected);
    let csv = of(&server, "text/csv", &full).await;
    assert_eq!(csv.text().lines().count() as u64, ROWS + 1);
    let numbers =
        &mut csv.text().lines().skip(1).map(|l| l.split(',').next().unwrap().parse().unwrap());
    assert_eq!(sum(numbers), expected);
    let compressed = format!("{ARROW}; codecs=\"zstd\"");
    let mut sizes = Vec::new();
    for accept in [ARROW, &compressed, PARQUET] {
        let answer = of(&server, accept, &full).await;
        sizes.push(answer.body.len());
        let batches = match accept {
            PARQUET => parquet(answer.body),
            _ => arrow(&answer.body),
        };
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(rows as u64, ROWS, "{accept}");
        let numbers = &mut batches.iter().flat_map(|batch| {
            let column = batch.column(0).as_any();
            let column = column.downcast_ref::<deltalake::arrow::array::Int64Array>().unwrap();
            column.values().to_vec()
        });
        assert_eq!(sum(numbers), expected, "{accept}");
    }
    assert!(sizes[1] * 4 < sizes[0], "zstd was asked for: {sizes:?}");
}
