//! Rows of a snapshot as an Arrow stream.

use std::collections::BTreeSet;

use deltalake::arrow::array::{AsArray, RecordBatch};
use deltalake::arrow::datatypes::Int64Type;
use deltalake::arrow::ipc::reader::StreamReader;
use serde_json::json;
use stedi_server::auth::Role;

use super::{QUICK, Site};

impl Site {
    async fn rows(&self, query: &[(&str, &str)]) -> Vec<RecordBatch> {
        let request = self.ask(Role::Trainer, "GET", "/v1/snapshots/latest/data").query(query);
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let bytes = answer.bytes().await.unwrap();
        assert_eq!(status, 200, "{query:?}: {}", String::from_utf8_lossy(&bytes));
        let stream = StreamReader::try_new(std::io::Cursor::new(bytes), None).unwrap();
        stream.map(Result::unwrap).collect()
    }

    /// Each row as whose it is and when it was measured.
    pub(super) async fn keys(&self, query: &[(&str, &str)]) -> Vec<(String, i64)> {
        let mut keys = Vec::new();
        let columns = ("columns", "subject_id,sensorreadingtime");
        for batch in self.rows(&[query, &[columns]].concat()).await {
            let subjects = batch.column(0).as_string::<i32>();
            let times = batch.column(1).as_primitive::<Int64Type>();
            let rows = subjects.iter().zip(times.iter());
            keys.extend(rows.map(|(subject, time)| (subject.unwrap().to_owned(), time.unwrap())));
        }
        keys
    }
}

fn people(keys: &[(String, i64)]) -> BTreeSet<&str> {
    keys.iter().map(|(subject, _)| subject.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_conditions_splits_and_shards() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), QUICK).await;
    let names: Vec<String> = (0..40).map(|number| format!("p{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    site.customers(&names[..30], 1..8).await;
    site.customers(&names[30..], 1..8).await;
    let manifest = site.snapshot(json!({})).await;
    let table = &manifest["tables"][0];
    assert!(table["files"].as_array().unwrap().len() > 1, "{table}");
    let mut all = site.keys(&[]).await;
    all.sort();
    assert_eq!(all.len(), 280);
    let some =
        site.rows(&[("columns", "X, z"), ("where", "sensorreadingtime between 2 and 3")]).await;
    assert_eq!(some.iter().map(RecordBatch::num_rows).sum::<usize>(), 80);
    let fields: Vec<_> = some[0].schema().fields().iter().map(|it| it.name().clone()).collect();
    assert_eq!(fields, ["x", "z"]);

    // Splits: everybody in one, as the manifest counts them, and where they were before.
    let mut seen = Vec::new();
    let mut before = Vec::new();
    for split in ["train", "validation", "test"] {
        let keys = site.keys(&[("split", split)]).await;
        assert_eq!(
            table["splits"].get(split).and_then(|it| it.as_u64()).unwrap_or(0),
            keys.len() as u64,
            "{split}"
        );
        assert_eq!(keys.len(), people(&keys).len() * 7, "{split}");
        before.push(people(&keys).into_iter().map(str::to_owned).collect::<BTreeSet<_>>());
        // Shards of it have every row once and are about equal.
        let mut shards = Vec::new();
        for at in 0..3 {
            let shard = site.keys(&[("split", split), ("shard", &format!("{at}/3"))]).await;
            assert!(
                shard.len().abs_diff(keys.len() / 3) <= 1,
                "{split}: {} of {}",
                shard.len(),
                keys.len()
            );
            shards.extend(shard);
        }
        let mut keys = keys;
        keys.sort();
        shards.sort();
        assert_eq!(shards, keys);
        seen.extend(keys);
    }
    seen.sort();
    assert_eq!(seen, all);
    let mut shards = Vec::new();
    for at in 0..7 {
        let shard = site.keys(&[("shard", &format!("{at}/7"))]).await;
        assert_eq!(shard.len(), 40);
        shards.extend(shard);
    }
    shards.sort();
    assert_eq!(shards, all);

    site.customers(&["later"], 1..8).await;
    site.snapshot(json!({})).await;
    for (split, before) in ["train", "validation", "test"].iter().zip(before) {
        let keys = site.keys(&[("split", *split)]).await;
        let now: BTreeSet<_> = people(&keys).into_iter().map(str::to_owned).collect();
        assert!(now.is_superset(&before) && now.len() <= before.len() + 1, "{split}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), QUICK).await;
    site.customers(&["ada"], 1..5).await;
    site.snapshot(
        json!({ "name": "s", "tables": ["machine_learning_curated", "customer_curated"] }),
    )
    .await;
    let one = [("table", "machine_learning_curated")];
    let asked = async |more: &[(&str, &str)]| {
        let request = site.ask(Role::Trainer, "GET", "/v1/snapshots/s/data").query(more);
        let (status, problem) = site.answer(request).await;
        (status, problem["code"].as_str().unwrap().to_owned(), problem["detail"].to_string())
    };
    for (more, code, word) in [
        (vec![], "malformed", "table"),
        (vec![("table", "accelerometer_trusted")], "snapshot_not_found", "accelerometer_trusted"),
        (vec![one[0], ("columns", "x,nope")], "malformed", "nope"),
        (vec![("table", "customer_curated"), ("columns", "email")], "malformed", "email"),
        (
            vec![("table", "customer_curated"), ("where", "email = 'ada@set'")],
            "statement_invalid",
            "email",
        ),
        (vec![one[0], ("split", "nope")], "malformed", "train"),
        (vec![one[0], ("shard", "4/4")], "malformed", "shard"),
        (vec![one[0], ("where", "x >")], "syntax_error", ""),
        (
            vec![one[0], ("where", "x > 1) UNION SELECT * FROM (customer_curated")],
            "syntax_error",
            "",
        ),
        (
            vec![one[0], ("where", "x in (select x from accelerometer_trusted)")],
            "statement_invalid",
            "",
        ),
        (vec![one[0], ("rows", "1")], "malformed", "rows"),
    ] {
        let (_, found, detail) = asked(&more).await;
        assert_eq!(found, code, "{more:?}: {detail}");
        assert!(detail.contains(word), "{more:?}: {detail}");
    }
}
