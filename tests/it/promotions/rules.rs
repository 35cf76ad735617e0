//! Quality rules: what they say of each run, and what they keep from being published.

use serde_json::{Value, json};

use super::{Site, table};

fn rule<'a>(run: &'a Value, name: &str) -> &'a Value {
    let checks = table(run, "checked")["checks"].as_array().unwrap();
    checks.iter().find(|check| check["rule"] == name).unwrap_or_else(|| panic!("{name}: {run}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warning_is_recorded_and_a_failure_keeps_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::troubled(folder.path(), "").await;
    site.load("numbers", r#"{"k":"a","n":1} {"k":"b","n":2} {"k":"b","n":3}"#).await;
    let run = site.promote(&["checked"]).await;
    assert_eq!(run["state"], "succeeded", "{run}");
    let checks = table(&run, "checked")["checks"].as_array().unwrap();
    let rules: Vec<&str> = checks.iter().map(|check| check["rule"].as_str().unwrap()).collect();
    assert_eq!(
        rules,
        [
            "k not null",
            "a key is there once",
            "n at most 1000",
            "rows at most 100000",
            "k <> 'forbidden'"
        ]
    );
    assert_eq!(
        *rule(&run, "a key is there once"),
        json!({ "rule": "a key is there once", "action": "warn", "holds": false, "broken": 1, "rows": 3 })
    );
    for name in ["k not null", "n at most 1000", "rows at most 100000", "k <> 'forbidden'"] {
        assert_eq!(rule(&run, name)["holds"], true, "{run}");
    }

    // Rows that come are looked at together with those that are there.
    site.load("numbers", r#"{"k":"a","n":4} {"k":"c","n":5}"#).await;
    let run = site.promote(&["checked"]).await;
    assert_eq!(table(&run, "checked")["mode"], "append");
    assert_eq!(rule(&run, "a key is there once")["broken"], 1);
    assert_eq!(rule(&run, "k <> 'forbidden'")["rows"], 2);

    for (record, name) in [
        (r#"{"k":"x","n":1001}"#, "n at most 1000"),
        (r#"{"k":"forbidden","n":6}"#, "k <> 'forbidden'"),
    ] {
        let before = site.sql("SELECT k, n FROM checked ORDER BY n").await;
        site.load("numbers", record).await;
        let run = site.promote(&["checked", "good"]).await;
        assert_eq!(run["state"], "failed", "{run}");
        let checked = table(&run, "checked");
        assert_eq!(checked["state"], "failed");
        assert_eq!(checked["error"]["code"], "promotion_failed");
        let detail = checked["error"]["detail"].as_str().unwrap();
        assert!(detail.contains(name) && detail.contains("broken by 1"), "{detail}");
        assert_eq!(rule(&run, name)["broken"], 1);
        assert_eq!(table(&run, "good")["state"], "succeeded");
        assert_eq!(site.sql("SELECT k, n FROM checked ORDER BY n").await, before);
    }
    // Nothing is left of what was not published.
    let files = std::fs::read_dir(folder.path().join(".stedi/lake/trusted/checked")).unwrap();
    let data = files.filter(|file| {
        let name = file.as_ref().unwrap().file_name();
        name.to_str().unwrap().ends_with(".parquet")
    });
    let live = site.serving.json("/v1/tables/checked/history").await;
    let live = live["versions"].as_array().unwrap().len() - 1;
    assert!(data.count() <= 2 * live, "files of refused versions");
}
