//! Steps of an erasure: of the request, of what is kept out, of the denial, of landing, of promotions, of
//! the purge, of the proof.

use super::customers::{Asked, chosen, killed, sent_again};
use super::{both, both_of};
use crate::support::{SeaweedFs, full};

const ASKED: Asked = Asked {
    word: "erasures",
    tables: &[
        ("customer_landing", "email"),
        ("accelerometer_landing", "\"user\""),
        ("step_trainer_landing", "serialnumber"),
        ("customer_trusted", "email"),
        ("accelerometer_trusted", "serialnumber"),
        ("customer_curated", "email"),
        ("step_trainer_trusted", "serialnumber"),
        ("machine_learning_curated", "serialnumber"),
    ],
};

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(
    not(all(seaweedfs, python_readers)),
    ignore = "SeaweedFS is not installed; tests/run installs it"
)]
async fn killed_at_every_step_of_an_erasure() {
    let steps = chosen(&[
        both("/system/revocations/sealed/", ""),
        both("/system/revocations/open/", ".json"),
        both("/system/suppression/0", ".json"),
        both("/system/deny/", ".json"),
        // The fence, then the rows.
        both("/landing/customer_landing/_delta_log/", ".json"),
        both_of("/landing/customer_landing/_delta_log/", ".json", 2),
        both("/landing/step_trainer_landing/rewritten/", ".parquet"),
        both("/landing/step_trainer_landing/_change_data/", ".parquet"),
        both_of("/landing/step_trainer_landing/_delta_log/", ".json", 2),
        both("/curated/machine_learning_curated/_delta_log/", ".json"),
        both_of("/system/deny/", ".json", 2),
        both("/system/purges/", ".json"),
        both_of("/system/purges/", ".json", 6),
        both_of("POST ", "delete", 2),
        both("/system/certificates/", ".json"),
    ]);
    // Each takes a while: a lake with everything is started, emptied and proved. In the suite every third.
    let every = if full() { 1 } else { 3 };
    let steps: Vec<_> = steps.into_iter().step_by(every).collect();
    let s3 = SeaweedFs::start();
    let folder = tempfile::tempdir().unwrap();
    killed((&s3, folder.path(), "erased"), &ASKED, &steps, async |killed, name| {
        if let Some(name) = name {
            assert_eq!(sent_again(killed, name).await, (9, 0), "{name}");
        }
    })
    .await;
}
