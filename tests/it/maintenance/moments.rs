//! Maintenance at the same moment as everything else.

use std::sync::Arc;

use futures::future::join_all;
use stedi_openapi::{MaintainedState, MaintainedTable, WorkState};
use stedi_server::app::App;
use stedi_server::config::MaintenanceConfig;
use stedi_server::lake::{CompactionRules, LakeError, Watch};

use super::{
    age_all, customer, derived_equal_their_selects, eager, folder, keeper, maintain, names,
    ordered, reading, rows,
};
use crate::support::{TABLES, TestLake, author, sized};

const RULES: CompactionRules = CompactionRules { small: 1 << 20, pieces: 2, most: 1 << 30 };
const LANDING: &str = "accelerometer_landing";
const TRUSTED: &str = "accelerometer_trusted";

/// Rounds of loads, promotions and maintenance by three servers at once.
#[tokio::test(flavor = "multi_thread")]
async fn promotions_loads_and_maintenance_by_several_servers() {
    let rounds = sized(12, 80);
    let lake = TestLake::new().await;
    lake.load(
        "customer_landing",
        (0..5).map(|n| customer(&format!("c{n}"), n)).collect::<String>(),
    )
    .await;
    lake.promote().await;
    let other = App::open(&lake.config).await.unwrap();
    let config = MaintenanceConfig { log_retention_hours: 1, file_retention_hours: 1, ..eager() };
    let keeper = keeper(&lake, config).await;
    let author = author();
    let mut rows_loaded = 0;
    let (mut compacted, mut removed) = (0, 0);
    for round in 0..rounds {
        // What was there before this round is old enough to go.
        for table in TABLES {
            age_all(&lake, table, 48);
        }
        let loads = join_all((0..3).map(|n| {
            let number = 100 * round + 10 * n;
            let lines = (0..3).map(move |m| reading(&format!("c{}", (round + m) % 5), number + m));
            lake.load(LANDING, lines.collect::<Vec<_>>().join("\n"))
        }));
        let consent = match round % 3 {
            0 => customer("c1", 10 + round).replace("OfDate\":1}", "OfDate\":null}"),
            _ => customer("c1", 10 + round),
        };
        let changes = lake.load("customer_landing", consent);
        let promotions = async {
            for app in [&lake.app, &other, &lake.app] {
                app.promotion.run(&author, |_| {}).await.unwrap();
            }
        };
        let keeping = async {
            let mut reports = Vec::new();
            for _ in 0..2 {
                reports.push(keep(&keeper).await);
            }
            reports
        };
        let (loads, _, (), reports) = futures::join!(loads, changes, promotions, keeping);
        rows_loaded += loads.iter().map(|load| load.accepted).sum::<u64>();
        for report in reports {
            compacted += report.iter().map(|table| table.files_before).sum::<u64>();
            removed += report.iter().map(|table| table.files_removed).sum::<u64>();
        }
        lake.promote().await;
        derived_equal_their_selects(&lake, &format!("round {round}")).await;
        assert_eq!(rows(&lake, LANDING).await.len() as u64, rows_loaded, "round {round}");
    }
    println!("{compacted} files were compacted and {removed} removed in {rounds} rounds");
    assert!(compacted as usize > rounds && removed as usize > rounds, "{compacted} {removed}");
}

/// Maintains all tables; others may get in the way for good.
async fn keep(app: &App) -> Vec<MaintainedTable> {
    let info = ordered(app, None).await;
    assert_eq!(info.state, WorkState::Succeeded, "{info:?}");
    info.what.tables
}

/// A lake whose readings and what is derived from them are in several files.
async fn in_pieces() -> TestLake {
    let lake = TestLake::new().await;
    for n in 0..4 {
        lake.load("customer_landing", customer(&format!("c{n}"), n)).await;
        lake.load(LANDING, reading(&format!("c{n}"), n)).await;
        lake.promote().await;
    }
    lake
}

async fn rewritten(lake: &TestLake, folder: &str, table: &str) -> stedi_server::lake::Rewritten {
    let store = &lake.app.lake;
    let table = store.table(folder, table).await.unwrap().unwrap();
    let files = table.to_compact(&["subject_id"], RULES).unwrap();
    assert_eq!(files.len(), 4);
    let watch = Arc::new(Watch::default());
    table.rewrite(store, files, &["subject_id"], &watch).await.unwrap()
}

/// delta-rs takes two compactions of the same files for compatible: each row would be there twice.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_compactions_of_the_same_files_one_counts() {
    let lake = in_pieces().await;
    let before = rows(&lake, LANDING).await;
    let one = rewritten(&lake, "landing", LANDING).await;
    let two = rewritten(&lake, "landing", LANDING).await;
    let done = one.commit(&lake.app.lake, "landing", &author()).await.unwrap();
    assert_eq!((done.files_before, done.files_after), (4, 1));
    let outcome = two.commit(&lake.app.lake, "landing", &author()).await;
    assert!(matches!(outcome, Err(LakeError::Conflict { .. })), "{outcome:?}");
    assert_eq!(rows(&lake, LANDING).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_come_meanwhile_are_no_conflict() {
    let lake = in_pieces().await;
    let compaction = rewritten(&lake, "landing", LANDING).await;
    for n in 10..13 {
        lake.load(LANDING, reading("c1", n)).await;
    }
    let before = rows(&lake, LANDING).await;
    let done = compaction.commit(&lake.app.lake, "landing", &author()).await.unwrap();
    assert_eq!(done.table.files().unwrap().len(), 4);
    assert_eq!(rows(&lake, LANDING).await, before);
    let modes = lake.promote().await;
    assert_eq!(modes[TRUSTED], "append", "{modes:?}");
    derived_equal_their_selects(&lake, "with appends meanwhile").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_that_replaces_the_same_files_wins() {
    let lake = in_pieces().await;
    let compaction = rewritten(&lake, "trusted", TRUSTED).await;
    let withdrawn = customer("c1", 9).replace("OfDate\":1}", "OfDate\":null}");
    lake.load("customer_landing", withdrawn).await;
    assert_eq!(lake.promote().await[TRUSTED], "subjects");
    let before = rows(&lake, TRUSTED).await;
    let outcome = compaction.commit(&lake.app.lake, "trusted", &author()).await;
    assert!(matches!(outcome, Err(LakeError::Conflict { .. })), "{outcome:?}");
    assert_eq!(rows(&lake, TRUSTED).await, before);
    // No purge has to wait for what it leaves.
    let left = names(&folder(&lake, TRUSTED).join("rewritten"));
    assert!(left.is_empty(), "{left:?}");
    derived_equal_their_selects(&lake, "the promotion was first").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_server_at_a_time_maintains_a_table() {
    let lake = in_pieces().await;
    let config = MaintenanceConfig { lease_seconds: 60, ..eager() };
    let (one, two) = (keeper(&lake, config.clone()).await, keeper(&lake, config).await);
    let leases = stedi_server::ledger::Leases::new(
        lake.app.lake.clone(),
        std::time::Duration::from_secs(60),
    );
    let lease = leases.take(&format!("maintain-{LANDING}")).await.unwrap().unwrap();
    let names = [LANDING.to_owned()];
    for app in [&one, &two] {
        let info = ordered(app, Some(&names)).await;
        let table = &info.what.tables[0];
        assert_eq!(table.state, MaintainedState::Skipped, "{table:?}");
        assert_eq!(table.why.as_deref(), Some("it is being maintained already"));
        assert!(!table.changed());
    }
    lease.release().await.unwrap();
    assert_eq!(maintain(&two, &[LANDING]).await[LANDING].files_before, 4);
}
