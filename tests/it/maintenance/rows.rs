//! No row changes, whatever came before and comes after.

use stedi_server::app::App;
use stedi_server::config::MaintenanceConfig;
use stedi_server::ledger::audit::{Action, Draft, End};

use super::{
    actions, all_rows, customer, derived_equal_their_selects, eager, keeper, log_of, maintain,
    reading,
};
use crate::faults::workload::{Ledger, SOURCES};
use crate::support::{Dice, TestLake, author, fixture, seed, sized};

#[tokio::test(flavor = "multi_thread")]
async fn loads_promotions_and_maintenance_in_any_order() {
    let (seed, steps) = (seed(), sized(60, 400));
    println!("seed {seed}, {steps} steps");
    let lake = TestLake::new().await;
    let mut keeper = keeper(&lake, eager()).await;
    let (mut dice, mut ledger) = (Dice::new(seed), Ledger::new(seed));
    let mut done = [0_usize; 5];
    for step in 0..steps {
        let what = dice.below(10);
        match what {
            0..5 => {
                let load = ledger.next();
                let load = &ledger.loads[load];
                lake.load(load.table, load.text.clone()).await;
                done[0] += 1;
            }
            5..7 => {
                lake.promote().await;
                derived_equal_their_selects(&lake, &format!("step {step}")).await;
                done[1] += 1;
            }
            7..9 => {
                let before = all_rows(&lake).await;
                let report = maintain(&keeper, &[]).await;
                assert_eq!(all_rows(&lake).await, before, "step {step}");
                done[2] += 1;
                done[3] += report.values().filter(|table| table.files_before > 0).count();
                done[4] += report.values().map(|table| table.files_removed as usize).sum::<usize>();
            }
            _ => keeper = super::keeper(&lake, eager()).await,
        }
    }
    lake.promote().await;
    derived_equal_their_selects(&lake, "at the end").await;
    // What was loaded is what the landing tables hold.
    for (table, id) in SOURCES {
        let sent = ledger.loads.iter().filter(|load| load.table == table);
        let mut expected: Vec<i64> = sent.flat_map(|load| load.ids.clone()).collect();
        expected.sort_unstable();
        let held = lake.select(&format!("SELECT CAST({id} AS BIGINT) FROM {table}")).await;
        let mut held: Vec<i64> = held.iter().map(|row| row[0].parse().unwrap()).collect();
        held.sort_unstable();
        assert_eq!(held, expected, "{table}");
    }
    println!("loads, promotions, maintenances, compactions, files removed: {done:?}");
    assert!(done.iter().all(|count| *count > 3), "{done:?}");
}

/// A lake whose tables have several files each.
async fn in_pieces(lake: &TestLake) {
    for n in 0..6 {
        lake.load("customer_landing", customer(&format!("c{n}"), n)).await;
        let readings: Vec<_> = (0..4).map(|m| reading(&format!("c{n}"), 10 * n + m)).collect();
        lake.load("accelerometer_landing", readings.join("\n")).await;
        lake.promote().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_derived_from_compacted_tables_has_nothing_to_do() {
    let lake = TestLake::new().await;
    in_pieces(&lake).await;
    let keeper = keeper(&lake, MaintenanceConfig { checkpoint_commits: 1000, ..eager() }).await;
    let before = all_rows(&lake).await;
    let report = maintain(&keeper, &[]).await;
    for table in ["customer_landing", "accelerometer_landing", "accelerometer_trusted"] {
        let report = &report[table];
        assert!(report.files_before >= 6 && report.files_after == 1, "{report:?}");
        // The log says that no row changed, and what the commit was.
        let actions = actions(&lake, table, report.version.unwrap());
        let files = actions.iter().filter_map(|it| it.get("add").or_else(|| it.get("remove")));
        let files: Vec<_> = files.collect();
        assert_eq!(files.len() as u64, report.files_before + report.files_after);
        assert!(files.iter().all(|file| file["dataChange"] == false), "{actions:?}");
        assert!(actions.iter().all(|action| action.get("cdc").is_none()));
        let info = actions.iter().find_map(|action| action.get("commitInfo")).unwrap();
        assert_eq!(
            (&info["operation"], &info["stedi"]["operation"]),
            (&"OPTIMIZE".into(), &"compact".into())
        );
        assert_eq!(info["operationMetrics"]["numInsertedRows"], 0);
    }
    assert_eq!(all_rows(&lake).await, before);
    let modes = lake.promote().await;
    assert!(modes.values().all(|mode| *mode == "nothing"), "{modes:?}");
    // And what comes later is not more than it is.
    lake.load("accelerometer_landing", reading("c1", 999)).await;
    let modes = lake.promote().await;
    assert_eq!(modes["accelerometer_trusted"], "append", "{modes:?}");
    derived_equal_their_selects(&lake, "after compaction").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_maintenance_has_nothing_to_do() {
    let lake = TestLake::new().await;
    in_pieces(&lake).await;
    let keeper = keeper(&lake, eager()).await;
    // What the first one replaced is removed by the second.
    maintain(&keeper, &[]).await;
    maintain(&keeper, &[]).await;
    let report = maintain(&keeper, &[]).await;
    for table in report.values().filter(|table| table.table != "audit") {
        assert!(!table.changed(), "{table:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_knows_the_old_log_goes_on() {
    let lake = TestLake::new().await;
    in_pieces(&lake).await;
    // It has all tables open, with logs from their beginning.
    let idle = App::open(&lake.config).await.unwrap();
    idle.promotion.run(&author(), |_| {}).await.unwrap();
    let open = idle.lake.table("trusted", "accelerometer_trusted").await.unwrap().unwrap();
    let known = open.txn("accelerometer_landing").await.unwrap();
    let keeper = keeper(&lake, MaintenanceConfig { min_files: 1000, ..eager() }).await;
    let before = all_rows(&lake).await;
    let report = maintain(&keeper, &[]).await;
    assert!(report["accelerometer_landing"].commits_removed >= 5, "{report:?}");
    assert!(report["accelerometer_trusted"].commits_removed >= 5, "{report:?}");
    assert_eq!(log_of(&lake, "accelerometer_landing").0.len(), 1);
    // Who has it open reads what its log says, though those commits are gone.
    assert_eq!(open.txn("accelerometer_landing").await.unwrap(), known);
    assert!(known.is_some());
    // This one is looked for to the log's beginning.
    assert_eq!(open.txn("nothing").await.unwrap(), None);
    // No new version: what it knows of the tables is as it was.
    let again = |runs: Vec<stedi_server::promotion::TableRun>| {
        assert!(runs.iter().all(|run| run.mode.name() == "nothing"), "{runs:?}");
    };
    again(idle.promotion.run(&author(), |_| {}).await.unwrap());
    assert_eq!(all_rows(&lake).await, before);
    // What is loaded by it is known as loaded, and what is new is taken in.
    let repeated = reading("c0", 0);
    let lines: Vec<_> = (0..4).map(|m| reading("c0", m)).collect();
    let load = async |app: &App, text: String| {
        let reader = std::io::Cursor::new(text);
        let content = stedi_server::landing::Content { name: "t".to_owned(), reader, most: None };
        app.landing.load("accelerometer_landing", content, &author(), None).await.unwrap()
    };
    assert_eq!(load(&idle, lines.join("\n")).await.duplicate, 4);
    assert_eq!(load(&idle, repeated).await.accepted, 1);
    assert_eq!(load(&idle, reading("c3", 77)).await.accepted, 1);
    let runs = idle.promotion.run(&author(), |_| {}).await.unwrap();
    let modes: Vec<_> = runs.iter().map(|run| (run.table.as_str(), run.mode.name())).collect();
    assert!(modes.contains(&("accelerometer_trusted", "append")), "{modes:?}");
    derived_equal_their_selects(&lake, "by the idle server").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_far_behind_goes_on() {
    let lake = TestLake::new().await;
    in_pieces(&lake).await;
    let idle = App::open(&lake.config).await.unwrap();
    idle.promotion.run(&author(), |_| {}).await.unwrap();
    let keeper = keeper(&lake, eager()).await;
    // What it knows is not in any log any more.
    for round in 0..3 {
        for n in 0..4 {
            let number = 1000 + 10 * round + n;
            lake.load("accelerometer_landing", reading(&format!("c{n}"), number)).await;
            lake.load("customer_landing", customer(&format!("c{n}"), number)).await;
        }
        lake.promote().await;
        maintain(&keeper, &[]).await;
    }
    let (commits, _) = log_of(&lake, "accelerometer_landing");
    assert!(commits[0] > 12, "{commits:?}");
    let before = all_rows(&lake).await;
    // It promotes, loads, reads and records as if it had seen it all.
    let runs = idle.promotion.run(&author(), |_| {}).await.unwrap();
    assert!(runs.iter().all(|run| run.mode.name() == "nothing"), "{runs:?}");
    for (table, rows) in &before {
        let opened = idle.lake.newest(zone(&lake, table), table).await.unwrap().unwrap();
        assert_eq!(opened.stats().unwrap().rows, rows.len() as u64, "{table}");
    }
    let text = reading("c2", 5000);
    let reader = std::io::Cursor::new(text);
    let content = stedi_server::landing::Content { name: "t".to_owned(), reader, most: None };
    let load = idle.landing.load("accelerometer_landing", content, &author(), None).await.unwrap();
    assert_eq!(load.accepted, 1);
    let runs = idle.promotion.run(&author(), |_| {}).await.unwrap();
    let modes: Vec<_> = runs.iter().map(|run| (run.table.as_str(), run.mode.name())).collect();
    assert!(modes.contains(&("accelerometer_trusted", "append")), "{modes:?}");
    derived_equal_their_selects(&lake, "by the server that was behind").await;
    idle.audit.record(Draft::new(Action::Load, "test"), End::ok()).await.unwrap();
    idle.audit.flush().await.unwrap();
    assert!(idle.audit.verify().await.unwrap().is_sound());
}

fn zone(lake: &TestLake, table: &str) -> &'static str {
    let declared = lake.app.pipeline.tables().into_iter().find(|it| it.name == table);
    declared.unwrap().zone.name()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_declared_table_is_maintained() {
    let lake = TestLake::new().await;
    lake.load_folder(&fixture()).await;
    lake.promote().await;
    let keeper = keeper(&lake, eager()).await;
    let report = maintain(&keeper, &[]).await;
    for declared in lake.app.pipeline.tables() {
        assert!(report.contains_key(&declared.name), "{}", declared.name);
    }
    assert!(report.contains_key("audit") && report.contains_key("runs"), "{report:?}");
    assert!(report["audit"].version.is_some());
    // Names of nothing are refused before anything is done.
    let names = ["customer_landing".to_owned(), "nothing".to_owned()];
    let error = keeper.maintenance.ask(super::asker(), Some(&names), None).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no table nothing");
    assert!(keeper.maintenance.ask(super::asker(), Some(&[]), None).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_stays_whole() {
    let lake = TestLake::new().await;
    let keeper = keeper(&lake, eager()).await;
    for _ in 0..4 {
        maintain(&keeper, &["audit", "customer_landing"]).await;
        keeper.audit.flush().await.unwrap();
    }
    let report = maintain(&keeper, &["audit"]).await;
    assert!(report["audit"].files_before >= 2, "{report:?}");
    let verified = keeper.audit.verify().await.unwrap();
    assert!(verified.is_sound(), "{verified:?}");
    assert!(verified.chains.iter().map(|chain| chain.records).sum::<u64>() >= 4);
}
