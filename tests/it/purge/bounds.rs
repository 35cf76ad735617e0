//! What a purge leaves alone: what somebody still needs, or may need.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use deltalake::datafusion::logical_expr::{ident, lit};
use serde_json::json;
use stedi_server::lake::{
    Change, LakeError, Mode, PurgeHeld, PurgeOrder, Table, Watch, Written, commit,
};
use stedi_server::landing::landing_columns;
use stedi_server::ledger::Leases;
use stedi_server::maintenance::{MaintenanceError, Purging};
use tokio_util::sync::CancellationToken;

use super::{CANARY, arrive, asked, order, purged, version, withdrawn};
use crate::maintenance::{age, all_rows, derived_equal_their_selects, folder, log_of, names, rows};
use crate::support::{TestLake, author};

const TABLE: &str = "accelerometer_trusted";
const SOURCE: &str = "accelerometer_landing";
const HOUR: Duration = Duration::from_secs(3600);

/// Everything in a table's folder.
fn contents(lake: &TestLake, table: &str) -> [Vec<String>; 3] {
    let folder = folder(lake, table);
    [names(&folder), names(&folder.join("_change_data")), names(&folder.join("_delta_log"))]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_derived_table_did_not_take_in_stays() {
    let lake = withdrawn().await;
    let known = version(&lake.app, SOURCE).await;
    lake.load(SOURCE, crate::maintenance::reading("amy", 70)).await;
    let before = contents(&lake, SOURCE);
    // Nothing is done by halves.
    let held = asked(&lake.app, SOURCE, &order(known + 1)).await;
    assert_eq!(held, Purging::Held(PurgeHeld::Reader, vec![TABLE.to_owned()]));
    assert_eq!(contents(&lake, SOURCE), before);
    assert_eq!(lake.app.lake.purged(SOURCE).await.unwrap(), None);
    // Up to what was taken in it can be done: behind that the log goes on.
    let Purging::Done(purged) = asked(&lake.app, SOURCE, &order(known)).await else {
        panic!("not done")
    };
    assert_eq!((purged.version, purged.marked), (known, false));
    assert_eq!(log_of(&lake, SOURCE), (vec![known + 1], vec![known]));
    assert_eq!(lake.promote().await[TABLE], "append");
    derived_equal_their_selects(&lake, "after a purge behind").await;
    let replayed = crate::support::replay(
        lake.root().to_str().unwrap(),
        &["landing/accelerometer_landing"],
        &[],
    );
    assert_eq!(replayed["landing/accelerometer_landing"].rows, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_may_still_read_stays_for_the_grace_time() {
    let lake = withdrawn().await;
    let through = version(&lake.app, TABLE).await;
    let patient = PurgeOrder { grace: HOUR, ..order(through) };
    let before = contents(&lake, TABLE);
    let Purging::Waits(begun, until) = asked(&lake.app, TABLE, &patient).await else {
        panic!("it does not wait")
    };
    assert_eq!(until, begun.at + 3_600_000);
    assert_eq!(begun.version, through + 1);
    let after = contents(&lake, TABLE);
    assert_eq!((&after[0], &after[1]), (&before[0], &before[1]));
    assert_eq!(after[2].len(), before[2].len() + 1);
    // Asked again it is the same purge, also for a later order.
    let later = PurgeOrder { through: through + 1, reason: "work-2".to_owned(), ..patient };
    assert_eq!(asked(&lake.app, TABLE, &later).await, Purging::Waits(begun.clone(), until));
    assert_eq!(contents(&lake, TABLE), after);
    // Its time comes.
    let hasty = PurgeOrder { grace: Duration::ZERO, ..later };
    let Purging::Done(done) = asked(&lake.app, TABLE, &hasty).await else { panic!("not done") };
    assert_eq!((done.version, done.at, &done.reason), (begun.version, begun.at, &begun.reason));
    assert_eq!(log_of(&lake, TABLE), (vec![done.version], vec![done.version]));
}

/// Longer than the steps of the times that files have: what is written after it is younger.
async fn a_moment() {
    tokio::time::sleep(Duration::from_millis(25)).await;
}

/// Files of a table that no commit names: where a load writes, where it does not, and in the log.
async fn planted(lake: &TestLake, table: &str) -> ([PathBuf; 2], [PathBuf; 4]) {
    let folder = folder(lake, table);
    std::fs::create_dir_all(folder.join("rewritten")).unwrap();
    std::fs::create_dir_all(folder.join("_change_data")).unwrap();
    let root = ["part-young.parquet", "part-draft.parquet#1"].map(|name| folder.join(name));
    let apart = [
        "rewritten/part-young.parquet",
        "rewritten/part-draft.parquet#1",
        "_change_data/part-young.parquet",
        "_delta_log/_commit_1.json.tmp",
    ];
    let apart = apart.map(|name| folder.join(name));
    root.iter().chain(&apart).for_each(|file| std::fs::write(file, "somebody's").unwrap());
    a_moment().await;
    (root, apart)
}

fn none_of(files: &[PathBuf]) -> bool {
    !files.iter().any(|file| file.exists())
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_loads_that_have_not_committed_stay_until_they_are_old() {
    let lake = withdrawn().await;
    let table = folder(&lake, SOURCE);
    let through = version(&lake.app, SOURCE).await;
    let careful = PurgeOrder { unfinished: HOUR, ..order(through) };
    let (loads, others) = planted(&lake, SOURCE).await;
    std::fs::write(table.join("part-old.parquet"), "nobody's").unwrap();
    age(&table.join("part-old.parquet"), 2);
    let commits = log_of(&lake, SOURCE).0;
    for file in &loads {
        let Purging::Waits(begun, until) = asked(&lake.app, SOURCE, &careful).await else {
            panic!("{}: it does not wait", file.display())
        };
        assert!(until > begun.at + 3_500_000, "{begun:?}, {until}");
        assert!(file.exists());
        assert!(!table.join("part-old.parquet").exists());
        // Whoever began to write these before the purge writes anew. What is in the log goes last: it
        // tells whose a data file is as long as that is not known.
        assert!(none_of(&others[..3]) && others[3].exists());
        assert!(log_of(&lake, SOURCE).0.len() > commits.len());
        age(file, 2);
    }
    let done = asked(&lake.app, SOURCE, &careful).await;
    assert!(matches!(done, Purging::Done(_)), "{done:?}");
    assert!(none_of(&loads) && none_of(&others));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_promotion_that_was_killed_hold_up_nothing() {
    let lake = withdrawn().await;
    let through = version(&lake.app, TABLE).await;
    let careful = PurgeOrder { unfinished: HOUR, ..order(through) };
    let (root, apart) = planted(&lake, TABLE).await;
    // Within the grace time they stay: it may be alive.
    let patient = PurgeOrder { grace: HOUR, ..careful.clone() };
    let waits = asked(&lake.app, TABLE, &patient).await;
    assert!(matches!(waits, Purging::Waits(..)), "{waits:?}");
    assert!(root.iter().chain(&apart).all(|file| file.exists()));
    // One that is younger than the purge is none of its business.
    a_moment().await;
    let later = folder(&lake, TABLE).join("part-later.parquet");
    std::fs::write(&later, "somebody's").unwrap();
    let done = asked(&lake.app, TABLE, &careful).await;
    assert!(matches!(done, Purging::Done(_)), "{done:?}");
    assert!(none_of(&root) && none_of(&apart) && later.exists());
}

/// Without a commit of its own a purge stops no writer.
#[tokio::test(flavor = "multi_thread")]
async fn where_a_derived_table_is_behind_files_of_anybody_stay_until_they_are_old() {
    let lake = withdrawn().await;
    let known = version(&lake.app, TABLE).await;
    lake.load(SOURCE, crate::maintenance::reading("amy", 70)).await;
    lake.app.promotion.promote(TABLE, &author(), &Arc::default()).await.unwrap();
    let (root, apart) = planted(&lake, TABLE).await;
    let careful = PurgeOrder { unfinished: HOUR, ..order(known) };
    let Purging::Waits(begun, _) = asked(&lake.app, TABLE, &careful).await else {
        panic!("it does not wait")
    };
    assert!(!begun.marked);
    assert!(root.iter().chain(&apart).all(|file| file.exists()));
}

/// What this rests on: whoever wrote files before a purge does not commit them after it.
#[tokio::test(flavor = "multi_thread")]
async fn who_wrote_files_before_a_purge_cannot_commit_them_after_it() {
    let lake = withdrawn().await;
    let store = &lake.app.lake;
    let before = store.table("landing", SOURCE).await.unwrap().unwrap();
    let files = || before.files().unwrap();
    let info = json!({ "operation": "test" });
    let append = |table: Table, number| {
        let (author, info) = (author(), info.clone());
        let (written, mode) = (Written::default(), Mode::Append);
        let txns = vec![(format!("test {number}"), number)];
        let change = Change { mode, written, columns: None, txns, author, info };
        async move { commit(store, "landing", &table, change).await.map(|_| ()) }
    };
    let watch = Arc::new(Watch::default());
    let compacted = before.apart().rewrite(store, files(), &["timestamp"], &watch).await.unwrap();
    let source = lake.app.pipeline.sources.iter().find(|source| source.name == SOURCE).unwrap();
    let columns = landing_columns(source);
    let gone = ident("timestamp").eq(lit(1000_i64));
    let erased = before.without(store, files(), &columns, gone, true).await.unwrap();
    assert_eq!(erased.gone, 1);
    // An append of somebody else is no hindrance for any of them.
    append(before.clone(), 1).await.unwrap();

    let through = version(&lake.app, SOURCE).await;
    let patient = PurgeOrder { grace: HOUR, ..order(through) };
    let waits = asked(&lake.app, SOURCE, &patient).await;
    assert!(matches!(waits, Purging::Waits(..)), "{waits:?}");
    let conflict = |outcome: Result<(), LakeError>| {
        assert!(matches!(outcome, Err(LakeError::Conflict { .. })), "{outcome:?}");
    };
    conflict(append(before.clone(), 2).await);
    conflict(compacted.commit(store, "landing", &author()).await.map(|_| ()));
    conflict(erased.commit(store, "landing", &author(), &info).await.map(|_| ()));
    // Nor where the log of what they began on is gone.
    purged(&lake.app, SOURCE).await;
    conflict(append(before.clone(), 3).await);
    let newest = store.table("landing", SOURCE).await.unwrap().unwrap();
    assert_eq!(newest.version(), through + 1);
    append(newest, 4).await.unwrap();
    assert_eq!(lake.count(SOURCE).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn pins_stay() {
    let lake = withdrawn().await;
    let through = version(&lake.app, TABLE).await;
    let mut pinning = order(through);
    pinning.pins.versions.insert(2);
    let before = contents(&lake, TABLE);
    let held = asked(&lake.app, TABLE, &pinning).await;
    assert_eq!(held, Purging::Held(PurgeHeld::Pinned(2), Vec::new()));
    assert_eq!(contents(&lake, TABLE), before);
    // Files by name, whatever they are.
    let mut pinning = order(through);
    let pinned = before[0][0].clone();
    let change = before[1][0].clone();
    pinning.pins.files = [pinned.clone(), format!("_change_data/{change}")].into();
    let done = asked(&lake.app, TABLE, &pinning).await;
    assert!(matches!(done, Purging::Done(_)), "{done:?}");
    let [files, changes, _] = contents(&lake, TABLE);
    assert!(files.contains(&pinned), "{files:?}");
    assert_eq!(changes, [change]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_has_lost_a_file_is_not_touched() {
    let lake = withdrawn().await;
    let through = version(&lake.app, TABLE).await;
    let table = folder(&lake, TABLE);
    for name in names(&table) {
        std::fs::rename(table.join(&name), table.join("_delta_log").join(&name)).unwrap();
    }
    let log = names(&table.join("_delta_log"));
    let (order, cancel) = (order(through), CancellationToken::new());
    let failed = lake.app.maintenance.purge(TABLE, &order, &cancel).await;
    let error = failed.unwrap_err().to_string();
    assert!(error.contains("is not there"), "{error}");
    // But for the commit that it begins with.
    let now = names(&table.join("_delta_log"));
    assert!(log.iter().all(|name| now.contains(name)));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_at_a_time_and_only_what_is_there() {
    let lake = withdrawn().await;
    let leases = Leases::new(lake.app.lake.clone(), Duration::from_secs(5));
    let lease = leases.take(&format!("maintain-{TABLE}")).await.unwrap().unwrap();
    let through = version(&lake.app, TABLE).await;
    assert_eq!(asked(&lake.app, TABLE, &order(through)).await, Purging::Busy);
    lease.release().await.unwrap();
    let none = asked(&lake.app, TABLE, &order(through + 1)).await;
    assert_eq!(none, Purging::Held(PurgeHeld::NoVersion, Vec::new()));
    // Cancelled it does nothing, and can be asked for again.
    let cancel = CancellationToken::new();
    let unknown = lake.app.maintenance.purge("nothing", &order(0), &cancel).await;
    assert!(matches!(unknown, Err(MaintenanceError::UnknownTable(_))));
    cancel.cancel();
    let before = contents(&lake, TABLE);
    lake.app.maintenance.purge(TABLE, &order(through), &cancel).await.unwrap_err();
    assert_eq!(contents(&lake, TABLE), before);
    let first = purged(&lake.app, TABLE).await;
    // What is done is done: the same order makes no commit.
    assert_eq!(asked(&lake.app, TABLE, &order(through)).await, Purging::Done(first));
}

/// A promotion that has opened a source before its log was cut has nothing to do, either.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_at_work_while_the_log_is_cut_sees_that_nothing_changed() {
    let lake = withdrawn().await;
    let known = version(&lake.app, SOURCE).await;
    let keeper = crate::maintenance::keeper(&lake, crate::maintenance::eager()).await;
    crate::maintenance::maintain(&keeper, &[SOURCE]).await;
    let table = lake.app.lake.table("landing", SOURCE).await.unwrap().unwrap();
    assert_eq!(table.version(), known + 1, "it was compacted");
    assert_eq!(purged(&lake.app, SOURCE).await.version, known + 2);
    assert_eq!(log_of(&lake, SOURCE).0, [known + 2]);
    let changes = table.changes_since(known).await.unwrap().unwrap();
    assert!(changes.is_empty());
    // But not from a version before that, about which nothing is known any more.
    assert!(table.changes_since(known - 1).await.unwrap().is_err());
}

/// Commits that change no row come in between: nobody has to be made anew, and nothing is held.
#[tokio::test(flavor = "multi_thread")]
async fn compactions_in_between_hold_nothing() {
    let lake = withdrawn().await;
    let keeper = crate::maintenance::keeper(&lake, crate::maintenance::eager()).await;
    let before = all_rows(&lake).await;
    for round in 0..3 {
        arrive(&lake, &format!("new{round}"), 20 + round).await;
        lake.promote().await;
        crate::maintenance::maintain(&keeper, &[]).await;
        for table in [SOURCE, TABLE, "customer_landing"] {
            purged(&keeper, table).await;
        }
    }
    let modes = lake.promote().await;
    assert!(modes.values().all(|mode| *mode == "nothing"), "{modes:?}");
    derived_equal_their_selects(&lake, "after maintenance and purges").await;
    assert_eq!(rows(&lake, TABLE).await.len(), before[TABLE].len() + 3);
    let gone = format!("SELECT * FROM customer_trusted WHERE email = '{CANARY}@example.com'");
    assert!(lake.select(&gone).await.is_empty());
}
