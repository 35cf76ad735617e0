//! Leases: one holder at a time, and who lost one knows it.

use std::time::Duration;

use stedi_server::lake::Lake;
use stedi_server::ledger::Leases;

use crate::support::TestLake;

const TIME: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn one_server_has_it_until_it_is_released() {
    let test = TestLake::new().await;
    let lake = test.app.lake.clone();
    let (one, other) = (Leases::new(lake.clone(), TIME), Leases::new(lake.clone(), TIME));
    let held = one.take("work").await.unwrap().unwrap();
    // Renewed meanwhile.
    tokio::time::sleep(TIME * 2).await;
    assert!(held.is_held().await.unwrap() && !held.until().is_over());
    assert!(other.take("work").await.unwrap().is_none());
    // Another lease is another matter.
    assert!(other.take("other").await.unwrap().is_some());
    held.release().await.unwrap();
    let next = other.take("work").await.unwrap().unwrap();
    assert_eq!(next.epoch(), 2);
    // Old numbers do not stay for ever.
    for _ in 0..5 {
        let leases = Leases::new(lake.clone(), TIME);
        if let Some(lease) = leases.take("often").await.unwrap() {
            lease.release().await.unwrap();
        }
    }
    let names = lake.list_objects("system/leases/often").await.unwrap();
    assert!(names.len() <= 2, "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_ended_without_a_word_is_replaced_after_its_time() {
    let test = TestLake::new().await;
    let lake = test.app.lake.clone();
    let (one, other) = (Leases::new(lake.clone(), TIME), Leases::new(lake, TIME));
    // Dropped, as when the process is killed: nobody renews it.
    let held = one.take("work").await.unwrap().unwrap();
    let until = held.until();
    drop(held);
    assert!(other.take("work").await.unwrap().is_none());
    tokio::time::sleep(TIME + Duration::from_millis(100)).await;
    // Whoever still works under it knows so, told or not.
    assert!(until.is_over());
    assert!(other.take("work").await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_was_away_too_long_is_told() {
    let test = TestLake::new().await;
    let lake = test.app.lake.clone();
    let (one, other) = (Leases::new(lake.clone(), TIME), Leases::new(lake.clone(), TIME));
    let held = one.take("work").await.unwrap().unwrap();
    let late = other.take("work").await.unwrap();
    assert!(late.is_none());
    // Its sign of life is gone, as if it had been away.
    lake.put_object("system/leases/work/0000000001.json", b"{}".to_vec()).await.unwrap();
    let next = other.take("work").await.unwrap().unwrap();
    assert_eq!(next.epoch(), 2);
    assert!(!held.is_held().await.unwrap());
    // By itself, too: it looks before it renews.
    tokio::time::timeout(TIME * 2, held.lost().cancelled()).await.unwrap();
    // Its release takes nothing from the new holder.
    held.release().await.unwrap();
    assert!(next.is_held().await.unwrap());
    assert!(one.take("work").await.unwrap().is_none());
}

/// Many at once, round after round: one has it.
async fn race(lake: &Lake, rounds: u64) {
    for round in 1..=rounds {
        let takes = (0..16).map(|_| {
            let leases = Leases::new(lake.clone(), Duration::from_secs(30));
            async move { leases.take("race").await.unwrap() }
        });
        let held: Vec<_> = futures::future::join_all(takes).await.into_iter().flatten().collect();
        assert_eq!(held.len(), 1, "round {round}");
        for lease in held {
            lease.release().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_one_has_it() {
    race(&TestLake::new().await.app.lake, 20).await;
}
