//! Files that are in no commit when somebody is to be forgotten.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{QUICK, Site};

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_that_has_to_wait_holds_up_nobody_elses_rows() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::start(folder.path(), QUICK).await;
    site.customers(&["ada", "bob", "cyd", "kept"]).await;
    let kept = site.subject("kept").await;
    let rows = site.rows("kept", &kept).await;
    let lake = folder.path().join(".stedi/lake");
    // It may belong to somebody who commits it soon, for all that a purge knows.
    let load = lake.join("landing/step_trainer_landing/part-of-a-load.parquet");
    // Whoever wrote these would have to write anew.
    let others = [
        "landing/step_trainer_landing/rewritten/part-of-an-erasure.parquet",
        "landing/customer_landing/_change_data/part-of-an-erasure.parquet",
        "landing/customer_revocation/part-of-a-revocation.parquet",
        "trusted/step_trainer_trusted/part-of-a-promotion.parquet",
        "system/audit/part-of-a-flush.parquet",
    ];
    let others = others.map(|file| lake.join(file));
    for file in others.iter().chain([&load]) {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, "begun").unwrap();
    }
    let mut paths = Vec::new();
    let until = async |done: &dyn Fn(&Value) -> bool, path: &str| {
        let started = Instant::now();
        loop {
            let now = site.serving.json(path).await;
            assert!(["queued", "running"].contains(&now["state"].as_str().unwrap()), "{now}");
            if done(&now) {
                return;
            }
            assert!(started.elapsed() < Duration::from_secs(60), "{now}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    for name in ["ada", "bob"] {
        let subject = site.subject(name).await;
        let asked = site.erase(json!({ "email": format!("{name}@rev") })).await;
        paths.push(format!("/v1/erasures/{}", asked["id"].as_str().unwrap()));
        until(&|now| now["step"] == "purge", paths.last().unwrap()).await;
        assert!(site.rows(name, &subject).await.iter().all(|rows| *rows == json!([])), "{name}");
    }
    until(&|now| now["step"] == "purge" && !others.iter().any(|it| it.exists()), &paths[0]).await;
    assert!(load.exists());
    // Whoever comes next has it look again.
    std::fs::remove_file(&load).unwrap();
    let asked = site.erase(json!({ "email": "cyd@rev" })).await;
    paths.push(format!("/v1/erasures/{}", asked["id"].as_str().unwrap()));
    for path in &paths {
        let ended = site.ended(path).await;
        assert_eq!(ended["state"], "succeeded", "{ended}");
        let number = |table: &Value, of: &str| table[of].as_u64().unwrap();
        let cut = |table: &Value| number(table, "history_from") >= number(table, "version_after");
        assert!(ended["tables"].as_array().unwrap().iter().all(cut), "{ended}");
    }
    assert_eq!(site.rows("kept", &kept).await, rows);
}
