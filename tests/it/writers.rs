//! Many writers, two servers, one table: every row that was acknowledged is there once.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use futures::future::join_all;
use stedi_openapi::LoadResult;
use stedi_server::auth::Role;

use crate::support::{SeaweedFs, Serving, adds_up, replay, replayed_rows, sized};

const TABLE: &str = "landing/step_trainer_landing";
const REJECTED: &str = "landing/step_trainer_landing_rejected";
/// Rows of a load that are good.
const ROWS: usize = 3;
/// Each load of this number holds a record that is rejected.
const BROKEN: usize = 5;
/// How often a load is sent, until it is acknowledged.
const ATTEMPTS: usize = 30;

/// Keys of a state folder for another server of the same lake.
pub fn share_keys(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for key in ["subject.key", "suppression.keys", "auth.key"] {
        // Who serves nothing has no key for tokens.
        if from.join(key).exists() {
            std::fs::copy(from.join(key), to.join(key)).unwrap();
        }
    }
}

/// A load's records; every distance is there once in all loads.
fn records(writer: usize, load: usize) -> String {
    let row = |n: usize| {
        let distance = (writer * 1000 + load) * ROWS + n;
        format!(
            "{{\"sensorReadingTime\":1000,\"serialNumber\":\"w{writer}\",\"distanceFromObject\":{distance}}}\n"
        )
    };
    let broken = if load.is_multiple_of(BROKEN) { "{\"broken\":1}\n" } else { "" };
    (0..ROWS).map(row).collect::<String>() + broken
}

/// Loads one after another; how often each was sent.
async fn write(serving: &Serving, writer: usize, loads: usize) -> Vec<usize> {
    let token = serving.token(Role::Ingest, "writer");
    let mut sent = Vec::new();
    for load in 0..loads {
        let mut attempt = 0;
        loop {
            attempt += 1;
            assert!(attempt <= ATTEMPTS, "writer {writer}, load {load} is never acknowledged");
            let request = serving.http.post(format!("{}/v1/{TABLE}", serving.url));
            let request = request.bearer_auth(&token).body(records(writer, load));
            let answer = request.send().await.unwrap();
            if answer.status().is_success() {
                let result: LoadResult = adds_up(answer.json().await.unwrap());
                // What failed before may be there all the same.
                let new = result.accepted == ROWS as u64;
                assert!(new || (attempt > 1 && result.duplicate > 0), "{attempt}: {result:?}");
                break;
            }
            let status = answer.status().as_u16();
            assert!([409, 429, 500, 503].contains(&status), "{status}");
            tokio::time::sleep(Duration::from_millis(50 * attempt as u64)).await;
        }
        sent.push(attempt);
    }
    sent
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(
    not(all(seaweedfs, python_readers)),
    ignore = "SeaweedFS is not installed; tests/run installs it"
)]
async fn every_acknowledged_row_of_many_writers_is_there_once() {
    let (writers, loads) = sized((8, 6), (16, 25));
    println!("{writers} writers, {loads} loads each, 2 servers");
    let s3 = SeaweedFs::start();
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let start = async |folder: &Path| {
        Serving::start_with(folder, "[http]\nrequest_seconds = 600\n", |command| {
            command.args(["--storage", "s3://lake/writers"]).envs(s3.environment());
        })
        .await
    };
    let first = start(folders[0].path()).await;
    share_keys(&folders[0].path().join(".stedi"), &folders[1].path().join(".stedi"));
    let second = start(folders[1].path()).await;
    let servers = [&first, &second];
    let sent = join_all((0..writers).map(|w| write(servers[w % 2], w, loads))).await;
    let again: usize = sent.iter().flatten().map(|attempts| attempts - 1).sum();
    println!("{again} loads were sent again");

    let root = "s3://lake/writers";
    let environment = s3.environment();
    let replayed = replay(root, &[TABLE, REJECTED], &environment);
    let all = (writers * loads * ROWS) as u64;
    // One commit for each load, none besides.
    assert_eq!(replayed[TABLE].version, (writers * loads) as u64);
    assert_eq!((replayed[TABLE].rows, replayed[TABLE].inserted), (all, all));
    assert_eq!(replayed[REJECTED].rows, (writers * loads.div_ceil(BROKEN)) as u64);
    let mut times = BTreeMap::new();
    for row in replayed_rows(root, TABLE, &["distancefromobject"], &environment) {
        *times.entry(row[0].as_f64().unwrap() as usize).or_insert(0) += 1;
    }
    let distances = |w: usize| (0..loads * ROWS).map(move |n| (w * 1000 * ROWS + n, 1));
    assert_eq!(times, (0..writers).flat_map(distances).collect());
    for server in [first, second] {
        assert_eq!(server.process.terminate(), Some(0));
    }
}
