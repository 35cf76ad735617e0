//! What can be computed can be sorted by.

use serde_json::{Value, json};
use stedi_server::auth::Role;

use crate::support::{TestLake, TestServer};

fn reading(number: u64) -> String {
    let x = 0.1 + 0.01 * number as f64;
    format!(
        "{{\"user\":\"u{number}\",\"timestamp\":{},\"x\":{x},\"y\":0.5,\"z\":-0.25}}\n",
        number + 1
    )
}

/// Every function that takes a number, over a table that is read in several parts.
#[tokio::test(flavor = "multi_thread")]
async fn by_every_function_of_a_number() {
    let lake = TestLake::new().await;
    for part in 0..4 {
        let readings: String = (0..20).map(|n| reading(20 * part + n)).collect();
        lake.load("accelerometer_landing", readings).await;
    }
    let server = TestServer::start(&lake.config).await;
    let routines = "SELECT DISTINCT routine_name FROM information_schema.routines ORDER BY 1";
    let names = server.rows(Role::Admin, routines).await;
    let mut sorted = Vec::new();
    for name in names.as_array().unwrap() {
        let name = name[0].as_str().unwrap();
        // Within the domain of one or another.
        for call in [format!("\"{name}\"(x)"), format!("\"{name}\"(1 / x)")] {
            let from = "FROM accelerometer_landing";
            let answer = server.sql(Role::Admin, &format!("SELECT {call} AS v {from}")).await;
            if answer.status != 200 {
                continue;
            }
            let sql = format!("SELECT {call} AS v {from} ORDER BY {call} DESC");
            let answer = server.sql(Role::Admin, &sql).await;
            assert_eq!(answer.status, 200, "{call}: {}", answer.text());
            let numbers: Vec<f64> = answer
                .rows()
                .as_array()
                .unwrap()
                .iter()
                .map(|row| &row[0])
                .filter_map(Value::as_f64)
                .collect();
            assert!(numbers.is_sorted_by(|a, b| a >= b), "{call}: {numbers:?}");
            sorted.push(name.to_owned());
        }
    }
    for name in ["abs", "sqrt", "ln", "log2", "log10", "acos", "acosh", "asin", "atanh", "exp"] {
        assert!(sorted.iter().any(|known| known == name), "{name} is not among {sorted:?}");
    }
    let longest = "SELECT \"user\" FROM accelerometer_landing \
         ORDER BY sqrt(x * x + y * y + z * z) DESC LIMIT 1";
    assert_eq!(server.rows(Role::Admin, longest).await, json!([["u79"]]));
    let ranks = "SELECT \"user\" FROM (SELECT \"user\", row_number() OVER \
         (PARTITION BY y ORDER BY ln(x) DESC) AS rank FROM accelerometer_landing) WHERE rank = 80";
    assert_eq!(server.rows(Role::Admin, ranks).await, json!([["u0"]]));
}
