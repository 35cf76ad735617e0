//! Values for placeholders: bound, never spliced.

use serde_json::{Value, json};
use stedi_server::auth::Role;

use crate::support::{TestLake, TestServer};

#[tokio::test(flavor = "multi_thread")]
async fn values_are_bound() {
    let lake = TestLake::filled().await;
    let server = TestServer::start(&lake.config).await;
    let trusted = "SELECT count(*) FROM step_trainer_trusted WHERE serialnumber";
    let any = format!("{trusted} = ANY($1)");
    for (sql, parameters, expected) in [
        ("SELECT $1", json!([1]), json!(1)),
        ("SELECT $1", json!([-9007199254740993_i64]), json!(-9007199254740993_i64)),
        ("SELECT $1", json!([18446744073709551615_u64]), json!(18446744073709551615_u64)),
        ("SELECT $1", json!([1.5e-7]), json!(1.5e-7)),
        ("SELECT $1", json!([true]), json!(true)),
        ("SELECT $1 IS NULL", json!([null]), json!(true)),
        ("SELECT $2 || $1 || $2", json!(["a", "b"]), json!("bab")),
        ("SELECT ? || ?", json!(["a", "b"]), json!("ab")),
        ("SELECT ?::BIGINT + 1", json!(["41"]), json!(42)),
        (
            "SELECT sum(n) FROM (VALUES (1), (2), (3)) AS v(n) WHERE n = ANY($1)",
            json!([[1, 3]]),
            json!(4),
        ),
        (
            "SELECT sum(n) FROM (VALUES (1), (2), (3)) AS v(n) WHERE n IN (?, ?)",
            json!([1, 3]),
            json!(4),
        ),
        (
            "SELECT count(*) FROM (SELECT * FROM (VALUES (1), (2), (3)) AS v(n) LIMIT $1 OFFSET $2)",
            json!([5, 1]),
            json!(2),
        ),
        ("SELECT CASE WHEN $1 > 0 THEN $2 ELSE $3 END", json!([1, "yes", "no"]), json!("yes")),
        // In a text or a comment it is no placeholder.
        ("SELECT '$1 ?' /* $2 */ -- ?", json!([]), json!("$1 ?")),
        (&any, json!([["d1", "d4"]]), json!(4)),
        (&any, json!([["d1", null]]), json!(3)),
        (&any, json!([["d1') OR ('1' = '1"]]), json!(0)),
        (&format!("{trusted} = $1"), json!(["d1"]), json!(3)),
    ] {
        let answer = server.bound(Role::Analyst, sql, parameters.clone()).await;
        assert_eq!(answer.status, 200, "{sql}: {}", answer.text());
        assert_eq!(answer.rows(), json!([[expected]]), "{sql} {parameters}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_stay_values() {
    let lake = TestLake::filled().await;
    let server = TestServer::start(&lake.config).await;
    for text in [
        "'",
        "''; SELECT 1; --",
        "d1' OR '1'='1",
        "\\' OR 1=1 --",
        "$2 ? ?",
        "\u{0}",
        "*/ SELECT /*",
        "{\"a\": [1]}",
        "\" FROM customer_trusted",
        "customer_trusted VERSION AS OF 1",
        "x'00'",
        "\u{202e}\u{1F600}",
        "",
    ] {
        let answer = server.bound(Role::Analyst, "SELECT $1 AS v", json!([text])).await;
        assert_eq!(answer.rows(), json!([[text]]));
        let sql = "SELECT count(*) FROM step_trainer_trusted WHERE serialnumber = $1";
        let answer = server.bound(Role::Analyst, sql, json!([text])).await;
        assert_eq!(answer.rows(), json!([[0]]), "{text}");
    }
    // Not a place for a value: a table, a column, a keyword.
    for sql in ["SELECT * FROM $1", "SELECT 1 AS $1", "SELECT 1 ORDER BY 1 $1"] {
        let answer = server.bound(Role::Analyst, sql, json!(["customer_trusted"])).await;
        assert_eq!(answer.problem().0, 422, "{sql}");
    }
    // A text where a column could be is a text.
    let sql = "SELECT DISTINCT $1 FROM step_trainer_trusted";
    let answer = server.bound(Role::Analyst, sql, json!(["serialnumber"])).await;
    assert_eq!(answer.rows(), json!([["serialnumber"]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn values_and_placeholders_go_together() {
    let lake = TestLake::new().await;
    let server = TestServer::start(&lake.config).await;
    for (sql, parameters, says) in [
        ("SELECT $1", json!([]), "no value for $1"),
        ("SELECT $1, $3", json!([1, 2]), "no value for $3"),
        ("SELECT ?, ?", json!([1]), "no value for $2"),
        ("SELECT 1", json!([1]), "no $1"),
        ("SELECT $1", json!([1, 2]), "no $2"),
        ("SELECT ?", json!([1, 2, 3]), "no $2"),
        ("SELECT $0", json!([1]), "$0"),
        ("SELECT $a", json!([1]), "$a"),
        ("SELECT $1, ?", json!([1, 2]), "do not mix"),
        ("SELECT $1", json!([{ "a": 1 }]), "object"),
        ("SELECT $1", json!([[[1]]]), "$1"),
        ("SELECT $1", json!([[{ "a": 1 }]]), "$1"),
        ("SELECT $99999999999999999999", json!([1]), "$99999999999999999999"),
    ] {
        let answer = server.bound(Role::Analyst, sql, parameters).await;
        assert_eq!(answer.problem(), (422, "parameters".to_owned()), "{sql}");
        assert!(answer.detail().contains(says), "{sql}: {}", answer.detail());
    }
    // A thousand of them.
    let marks = vec!["?"; 1000].join(", ");
    let values: Vec<Value> = (0..1000).map(Value::from).collect();
    let sql = format!("SELECT count(*) FROM (VALUES (7), (1007)) AS v(n) WHERE n IN ({marks})");
    assert_eq!(server.bound(Role::Analyst, &sql, json!(values)).await.rows(), json!([[1]]));
}
