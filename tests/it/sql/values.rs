//! Values of every type, in every format.

use serde_json::{Value, json};
use stedi_server::auth::Role;

use super::formats::{arrow, parquet, pretty};
use crate::support::{TestLake, TestServer, answered};

const FORMATS: [&str; 5] = [
    "application/json",
    "application/x-ndjson",
    "text/csv",
    "application/vnd.apache.arrow.stream",
    "application/vnd.apache.parquet",
];

/// An expression, its SQL type, its JSON as text, and its field of CSV.
const VALUES: [(&str, &str, &str, &str); 32] = [
    ("9007199254740993", "BIGINT", "9007199254740993", "9007199254740993"),
    ("-9223372036854775808", "BIGINT", "-9223372036854775808", "-9223372036854775808"),
    ("18446744073709551615", "BIGINT UNSIGNED", "18446744073709551615", "18446744073709551615"),
    ("CAST(7 AS INT)", "INTEGER", "7", "7"),
    ("CAST(0.1 AS DOUBLE)", "DOUBLE", "0.1", "0.1"),
    ("CAST(0.1 AS REAL)", "REAL", "0.1", "0.1"),
    ("CAST('NaN' AS DOUBLE)", "DOUBLE", "null", "NaN"),
    ("CAST('inf' AS DOUBLE)", "DOUBLE", "null", "inf"),
    ("CAST('-inf' AS DOUBLE)", "DOUBLE", "null", "-inf"),
    ("NULL", "NULL", "null", ""),
    ("CAST(NULL AS BIGINT)", "BIGINT", "null", ""),
    ("true", "BOOLEAN", "true", "true"),
    (
        "'Ünï \"q\" \\ \u{1F600}'",
        "VARCHAR",
        "\"Ünï \\\"q\\\" \\\\ \u{1F600}\"",
        "\"Ünï \"\"q\"\" \\ \u{1F600}\"",
    ),
    ("''", "VARCHAR", "\"\"", "\"\""),
    ("chr(7)", "VARCHAR", "\"\\u0007\"", "\u{7}"),
    ("CAST(1.25 AS DECIMAL(10,3))", "DECIMAL(10,3)", "1.250", "1.250"),
    (
        "CAST('12345678901234567890.5' AS DECIMAL(38,1))",
        "DECIMAL(38,1)",
        "12345678901234567890.5",
        "12345678901234567890.5",
    ),
    (
        "TIMESTAMP '2024-01-31T12:00:00.5'",
        "TIMESTAMP(9)",
        "\"2024-01-31T12:00:00.500\"",
        "2024-01-31T12:00:00.500",
    ),
    (
        "to_timestamp_millis(1706702400001)",
        "TIMESTAMP(3)",
        "\"2024-01-31T12:00:00.001\"",
        "2024-01-31T12:00:00.001",
    ),
    (
        "arrow_cast(TIMESTAMP '2024-01-31T12:00:00', 'Timestamp(Millisecond, Some(\"+01:00\"))')",
        "TIMESTAMP(3) WITH TIME ZONE",
        "\"2024-01-31T12:00:00+01:00\"",
        "2024-01-31T12:00:00+01:00",
    ),
    ("DATE '2024-01-31'", "DATE", "\"2024-01-31\"", "2024-01-31"),
    ("TIME '12:00:01'", "TIME", "\"12:00:01\"", "12:00:01"),
    ("X'00ff'", "VARBINARY", "\"00ff\"", "00ff"),
    ("make_array(1, NULL, 3)", "ARRAY<BIGINT>", "[1,null,3]", "\"[1,null,3]\""),
    (
        "make_array('a', 'b\"')",
        "ARRAY<VARCHAR>",
        "[\"a\",\"b\\\"\"]",
        "\"[\"\"a\"\",\"\"b\\\"\"\"\"]\"",
    ),
    ("make_array()", "ARRAY<NULL>", "[]", "[]"),
    ("make_array(CAST('NaN' AS DOUBLE))", "ARRAY<DOUBLE>", "[null]", "[null]"),
    (
        "named_struct('a', 1, 'b', 'x')",
        "STRUCT<a BIGINT, b VARCHAR>",
        "{\"a\":1,\"b\":\"x\"}",
        "\"{\"\"a\"\":1,\"\"b\"\":\"\"x\"\"}\"",
    ),
    (
        "named_struct('a', NULL, 'l', make_array(DATE '2024-01-31'))",
        "STRUCT<a NULL, l ARRAY<DATE>>",
        "{\"a\":null,\"l\":[\"2024-01-31\"]}",
        "\"{\"\"a\"\":null,\"\"l\"\":[\"\"2024-01-31\"\"]}\"",
    ),
    (
        "map(make_array('k'), make_array(1))",
        "MAP<VARCHAR, BIGINT>",
        "{\"k\":1}",
        "\"{\"\"k\"\":1}\"",
    ),
    ("arrow_cast('d', 'Dictionary(Int32, Utf8)')", "VARCHAR", "\"d\"", "d"),
    ("arrow_cast(5, 'Duration(Second)')", "INTERVAL", "\"PT5S\"", "PT5S"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_type_has_its_form() {
    let lake = TestLake::new().await;
    let server = TestServer::start(&lake.config).await;
    for (expression, kind, text, field) in VALUES {
        let sql = format!("SELECT {expression} AS v");
        let mut decoded = Vec::new();
        for accept in FORMATS {
            let request = server.statement(Role::Analyst, &sql).header("accept", accept);
            let answer = answered(request).await;
            assert_eq!(answer.status, 200, "{expression} as {accept}: {answer:?}");
            match accept {
                // As text: a JSON reader would round the numbers.
                "application/json" => assert_eq!(
                    answer.text(),
                    format!(
                        "{{\"columns\":[{{\"name\":\"v\",\"type\":\"{kind}\"}}],\
                         \"rows\":[[{text}]],\"row_count\":1}}\n"
                    )
                ),
                "application/x-ndjson" => assert_eq!(
                    answer.text(),
                    format!("{{\"v\":{text}}}\n{{\"end\":{{\"row_count\":1}}}}\n")
                ),
                "text/csv" => assert_eq!(answer.text(), format!("v\n{field}\n"), "{expression}"),
                "application/vnd.apache.arrow.stream" => decoded.push(arrow(&answer.body)),
                _ => decoded.push(parquet(answer.body)),
            }
        }
        assert_eq!(pretty(&decoded[0]), pretty(&decoded[1]), "{expression}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_format_cannot_say_is_refused() {
    let lake = TestLake::new().await;
    let server = TestServer::start(&lake.config).await;
    let refused = |expression: &'static str, accept: &'static str| {
        let sql = format!("SELECT {expression} AS v");
        let request = server.statement(Role::Analyst, &sql).header("accept", accept);
        async move { answered(request).await }
    };
    for expression in
        ["INTERVAL '1' DAY", "make_array(INTERVAL '1' DAY)", "named_struct('a', INTERVAL '1' DAY)"]
    {
        let answer = refused(expression, FORMATS[4]).await;
        assert_eq!(answer.problem(), (422, "statement_invalid".to_owned()), "{expression}");
        assert_eq!(refused(expression, FORMATS[0]).await.status, 200, "{expression}");
        assert_eq!(refused(expression, FORMATS[3]).await.status, 200, "{expression}");
    }
    // No text of an error in the place of a value.
    for expression in [
        "arrow_cast(9223372036854775807, 'Timestamp(Millisecond, None)')",
        "arrow_cast(2147483647, 'Date32')",
        "arrow_cast(9223372036854775807, 'Time64(Nanosecond)')",
        "map(make_array(1), make_array(1))",
    ] {
        for accept in &FORMATS[..3] {
            let answer = refused(expression, accept).await;
            assert_eq!(answer.problem(), (422, "statement_failed".to_owned()), "{expression}");
        }
    }
    let row = server.rows(Role::Analyst, "SELECT CAST(NULL AS DATE), INTERVAL '1' MONTH").await;
    assert_eq!(row, json!([[Value::Null, "1 mons"]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_day_is_that_of_the_statement() {
    let lake = TestLake::new().await;
    let server = TestServer::start(&lake.config).await;
    let mut before = String::new();
    for sql in ["SELECT now()", "SELECT now()", "SELECT current_timestamp"] {
        let sql = format!("SELECT arrow_cast({}, 'Utf8') AS v", &sql[7..]);
        let said = server.sql(Role::Analyst, &sql).await.json();
        let said = said["rows"][0][0].as_str().unwrap().to_owned();
        assert!(said > before, "{sql}: {said} is not behind {before}");
        before = said;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
