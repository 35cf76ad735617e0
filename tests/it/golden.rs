//! Counts that were made without the project.

use std::collections::BTreeMap;

use stedi_server::config::PipelineConfig;

use crate::support::{TABLES, TestLake, fixture, real_data};

pub fn since_consent() -> PipelineConfig {
    let options = BTreeMap::from([("readings".to_owned(), "since_consent".to_owned())]);
    PipelineConfig { dir: None, options }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fixture_gives_the_hand_checked_counts() {
    let lake = TestLake::new().await;
    lake.load_folder(&fixture()).await;
    lake.promote().await;
    assert_eq!(lake.counts(TABLES).await, [10, 12, 9, 6, 7, 4, 5, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fixture_since_consent() {
    let lake = TestLake::with(since_consent()).await.unwrap();
    lake.load_folder(&fixture()).await;
    lake.promote().await;
    assert_eq!(lake.counts(TABLES).await, [10, 12, 9, 6, 4, 3, 3, 2]);
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(real_data), ignore = "the real data is not there (STEDI_TEST_DATA)")]
async fn the_real_data_gives_the_published_counts() {
    let lake = TestLake::new().await;
    lake.load_folder(&real_data()).await;
    lake.promote().await;
    let golden = [956, 81_273, 28_680, 482, 40_981, 482, 14_460, 40_981];
    assert_eq!(lake.counts(TABLES).await, golden);
    // The share of the wrong join, on the timestamp alone, is not in there.
    let wrong = lake
        .select(
            "SELECT count(*) FROM step_trainer_trusted AS s JOIN accelerometer_trusted AS a \
             ON a.timestamp = s.sensorreadingtime",
        )
        .await;
    assert_eq!(wrong, [["43681"]]);
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(real_data), ignore = "the real data is not there (STEDI_TEST_DATA)")]
async fn the_real_data_since_consent() {
    let lake = TestLake::with(since_consent()).await.unwrap();
    lake.load_folder(&real_data()).await;
    lake.promote().await;
    let golden = [956, 81_273, 28_680, 482, 32_025, 464, 11_297, 32_025];
    assert_eq!(lake.counts(TABLES).await, golden);
}
