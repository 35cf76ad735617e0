//! Steps of a revocation: of the request, of the denial, of the purge, of the proof.

use serde_json::json;

use super::customers::{Asked, chosen, killed};
use super::{both, both_of};
use crate::support::SeaweedFs;

const ASKED: Asked = Asked {
    word: "revocations",
    tables: &[("customer_curated", "email"), ("machine_learning_curated", "serialnumber")],
};

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(
    not(all(seaweedfs, python_readers)),
    ignore = "SeaweedFS is not installed; tests/run installs it"
)]
async fn killed_at_every_step_of_a_revocation() {
    let steps = chosen(&[
        both("/system/revocations/open/", ".json"),
        both("/system/revocations/runs/", "/cancel"),
        both("/landing/customer_revocation/_delta_log/", ".json"),
        both("/system/deny/", ".json"),
        both("/system/revocations/runs/", "/at-0000000000.json"),
        both("/system/leases/revocation/", ".json"),
        both("/system/promotions/open/", ".json"),
        both("/curated/machine_learning_curated/_delta_log/", ".json"),
        both_of("/system/deny/", ".json", 2),
        both("/system/purges/", ".json"),
        both_of("/system/purges/", ".json", 4),
        both("/trusted/accelerometer_trusted/_delta_log/", ".checkpoint.parquet"),
        both_of("POST ", "delete", 2),
        both_of("/system/deny/", ".json", 3),
        both("/system/certificates/", ".json"),
        // Files of a promotion that was killed before its commit.
        both("/trusted/step_trainer_trusted/_delta_log/", ".json"),
    ]);
    let s3 = SeaweedFs::start();
    let folder = tempfile::tempdir().unwrap();
    let count = steps.len();
    killed((&s3, folder.path(), "revoked"), &ASKED, &steps, async |killed, name| {
        // There is one revocation of each, as a row.
        if name.is_none() {
            let sql = "SELECT count(*), count(DISTINCT subject_id) FROM customer_revocation";
            assert_eq!(killed.row(sql).await, json!([count, count]));
        }
    })
    .await;
}
