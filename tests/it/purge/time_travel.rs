//! Time travel to what was purged: 410 from the moment on that the purge is decided.

use std::time::Duration;

use serde_json::json;
use stedi_server::auth::Role;
use stedi_server::lake::PurgeOrder;
use stedi_server::maintenance::Purging;

use super::{asked, order, version, withdrawn};
use crate::support::TestServer;

const TABLE: &str = "customer_trusted";

#[tokio::test(flavor = "multi_thread")]
async fn what_was_purged_is_gone_for_every_server() {
    let lake = withdrawn().await;
    let (one, other) =
        (TestServer::start(&lake.config).await, TestServer::start(&lake.config).await);
    let count = |clause: String| format!("SELECT count(*) FROM {TABLE} {clause}");
    let through = version(&lake.app, TABLE).await;
    let table = lake.app.lake.table("trusted", TABLE).await.unwrap().unwrap();
    let commits = table.readable().await.unwrap();
    // Both have opened what will be purged.
    for server in [&one, &other] {
        let sql = count(format!("VERSION AS OF {}", through - 1));
        assert_eq!(server.rows(Role::Admin, &sql).await, json!([[3]]));
    }
    let patient = PurgeOrder { grace: Duration::from_secs(3600), ..order(through) };
    for (patience, step) in [(&patient, "decided"), (&order(through), "done")] {
        let purging = asked(&lake.app, TABLE, patience).await;
        let (Purging::Done(purged) | Purging::Waits(purged, _)) = purging else {
            panic!("{purging:?}")
        };
        assert_eq!(purged.done.is_some(), step == "done");
        for server in [&one, &other] {
            for clause in [
                "VERSION AS OF 0".to_owned(),
                format!("VERSION AS OF {}", through - 1),
                format!("VERSION AS OF {through}"),
                format!("TIMESTAMP AS OF {}", commits[1].millis),
                format!("TIMESTAMP AS OF {}", commits[0].millis - 1000),
            ] {
                let answer = server.sql(Role::Admin, &count(clause.clone())).await;
                assert_eq!(answer.problem(), (410, "purged".to_owned()), "{step}: {clause}");
                let detail = answer.detail();
                let from = format!("before version {}", purged.version);
                assert!(detail.contains(&from) && detail.contains("work-1"), "{detail}");
            }
            let (newest, now) = (format!("VERSION AS OF {}", purged.version), String::new());
            for clause in [newest, now, format!("TIMESTAMP AS OF {}", millis())] {
                let rows = server.rows(Role::Admin, &count(clause.clone())).await;
                assert_eq!(rows, json!([[2]]), "{step}: {clause}");
            }
            let later = count(format!("VERSION AS OF {}", through + 9));
            let answer = server.sql(Role::Admin, &later).await;
            assert_eq!(answer.problem(), (422, "no_such_version".to_owned()));
        }
    }
    // What was left behind says who did it.
    let admin = other.token(Role::Admin);
    let (_, history) = other.json(&format!("/v1/tables/{TABLE}/history"), Some(&admin)).await;
    let versions = history["versions"].as_array().unwrap();
    assert_eq!(versions.len(), 1, "{history}");
    assert_eq!(versions[0]["operation"], "purge", "{history}");
}

fn millis() -> u128 {
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()
}
