//! Purges beside loads, promotions and statements: nobody notices.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stedi_server::app::App;
use stedi_server::lake::PurgeOrder;
use stedi_server::maintenance::Purging;

use super::{DERIVED, arrive, asked, order, version};
use crate::maintenance::derived_equal_their_selects;
use crate::readers::TABLES as PATHS;
use crate::support::{TestLake, replay, sized};

const TABLES: [&str; 4] =
    ["customer_landing", "accelerometer_landing", "accelerometer_trusted", "customer_trusted"];

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(python_readers), ignore = "pyarrow is not installed; tests/run installs it")]
async fn loads_promotions_and_statements_go_on() {
    let rounds = sized(15, 80);
    let lake = Arc::new(TestLake::new().await);
    arrive(&lake, "first", 0).await;
    lake.promote().await;
    let (stop, read) = (Arc::new(AtomicBool::new(false)), AtomicUsize::new(0));
    // A purge is begun when the one before it is done.
    let begun = Mutex::new(BTreeSet::new());
    let other = App::open(&lake.config).await.unwrap();
    let work = async {
        for round in 1..=rounds {
            arrive(&lake, &format!("c{round}"), round).await;
            if round % 3 == 0 {
                super::withdraw(&lake, &format!("c{}", round - 1)).await;
            }
            lake.promote().await;
        }
        stop.store(true, Ordering::SeqCst);
    };
    // Another server purges all the time, for as long as a statement takes.
    let purges = async {
        while !stop.load(Ordering::SeqCst) {
            for table in TABLES {
                let order = PurgeOrder {
                    grace: Duration::from_secs(1),
                    unfinished: Duration::from_secs(600),
                    ..order(version(&other, table).await)
                };
                match asked(&other, table, &order).await {
                    Purging::Done(purged) | Purging::Waits(purged, _) => {
                        begun.lock().unwrap().insert((table, purged.version));
                    }
                    Purging::Held(..) | Purging::Busy => {}
                    Purging::NoTable => panic!("{table} is there"),
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let statements = async {
        while !stop.load(Ordering::SeqCst) {
            for table in DERIVED {
                let rows = lake.select(&format!("SELECT * FROM {table}")).await;
                assert!(!rows.is_empty(), "{table}");
                read.fetch_add(1, Ordering::SeqCst);
            }
        }
    };
    tokio::join!(work, purges, statements);
    // Whatever was held or waited then is done now.
    tokio::time::sleep(Duration::from_secs(2)).await;
    lake.promote().await;
    for table in TABLES {
        let purged = super::purged(&other, table).await;
        assert!(purged.done.is_some());
    }
    let (begun, read) = (begun.into_inner().unwrap(), read.into_inner());
    println!("{} purges beside {rounds} loads and {read} statements", begun.len());
    assert!(begun.len() > 2 * TABLES.len() && read > rounds, "{begun:?}, {read}");
    derived_equal_their_selects(&lake, "after purges beside everything").await;
    let withdrawn = rounds / 3;
    assert_eq!(lake.count("customer_trusted").await, 1 + rounds - withdrawn);
    let replayed = replay(lake.root().to_str().unwrap(), &PATHS[..4], &[]);
    assert_eq!(replayed["landing/accelerometer_landing"].rows, 1 + rounds as u64);
}
