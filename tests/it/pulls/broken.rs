//! Whatever becomes of requests, the files end up right, and what came is not asked for again.

use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use stedi_client::PullError;

use super::stand_in::{Asked, Harm, StandIn};
use super::{borrowed, files, holds, once, pulled, quick};
use crate::support::{Dice, client, seed, sized};

const BREAKS: usize = 50;

/// Each pull is broken at a random byte of some request, and the next one goes on right there.
#[tokio::test(flavor = "multi_thread")]
async fn a_pull_that_is_broken_fifty_times_ends_right_and_asks_for_no_byte_twice() {
    let seed = seed();
    println!("seed {seed}");
    let mut dice = Dice::new(seed);
    let files = files(&mut dice, &[900_000, 1, 300_000, 0, 70_000, 650_000, 100_000]);
    let server = StandIn::start().await;
    server.add("gait", &borrowed(&files));
    let folder = tempfile::tempdir().unwrap();
    let mut pull = once("gait", folder.path());
    pull.jobs = 1;
    let mut broken = 0;
    let mut asked: Vec<Asked> = Vec::new();
    while broken < BREAKS {
        let (passed, roll) = (AtomicUsize::new(0), dice.roll() as usize);
        // So few whole pieces, and small steps, that there are bytes left for all breaks.
        let whole = asked.iter().filter(|it| it.harm == Harm::None).count();
        let left = if whole < 8 { dice.below(3) } else { 0 };
        server.harm(move |asked| match passed.fetch_add(1, Ordering::SeqCst) < left {
            true => Harm::None,
            false => Harm::Cut(roll % (asked.end - asked.start).min(15_000)),
        });
        match pulled(&server, &pull).await {
            Err(PullError::Client(error)) => assert!(error.may_pass(), "{error}"),
            other => panic!("after {broken} breaks: {other:?}"),
        }
        for (path, _) in &files {
            assert!(!folder.path().join(path).exists(), "{path} has its name");
        }
        broken += 1;
        asked.extend(server.asked());
    }
    server.harm(|_| Harm::None);
    let done = pulled(&server, &pull).await.unwrap();
    asked.extend(server.asked());
    assert_eq!(done.files as usize, files.len());
    holds(&folder, &files);
    let came: usize = asked
        .iter()
        .map(|it| match it.harm {
            Harm::Cut(at) => at,
            _ => it.end - it.start,
        })
        .sum();
    let bytes: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    assert_eq!(came, bytes, "some bytes came twice");
    let resumed = asked.iter().filter(|it| it.if_range.is_some()).count();
    assert!(resumed > BREAKS / 2, "{resumed} requests went on");
}

/// The process is killed at random moments, with several connections at work.
#[tokio::test(flavor = "multi_thread")]
async fn a_pull_that_is_killed_goes_on() {
    let seed = seed();
    println!("seed {seed}");
    let mut dice = Dice::new(seed);
    let files = files(&mut dice, &[1_500_000, 800_000, 300_000]);
    let server = StandIn::start().await;
    server.add("gait", &borrowed(&files));
    let folder = tempfile::tempdir().unwrap();
    // Every other request stops half way, so that there is always something to be killed in.
    let number = AtomicUsize::new(0);
    server.harm(move |asked| match number.fetch_add(1, Ordering::SeqCst) % 4 {
        3 => Harm::Stall((asked.end - asked.start) / 2),
        _ => Harm::None,
    });
    let command = || {
        let mut command = client();
        command.args(["--server", &server.url, "snapshot", "pull", "gait", "--piece", "100000"]);
        command.arg("--out").arg(folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let mut killed = 0;
    for _ in 0..sized(8, 50) {
        server.asked();
        let mut running = command().spawn().unwrap();
        while server.asked().is_empty() && running.try_wait().unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(dice.roll() % 60)).await;
        running.kill().unwrap();
        killed += usize::from(!running.wait().unwrap().success());
    }
    server.harm(|_| Harm::None);
    let mut last = command();
    let done = tokio::task::spawn_blocking(move || last.status().unwrap()).await.unwrap();
    assert!(done.success());
    assert!(killed > 2, "it was killed {killed} times");
    holds(&folder, &files);
}

/// One run survives everything that connections, proxies and busy servers do.
#[tokio::test(flavor = "multi_thread")]
async fn cuts_stalls_and_answers_of_proxies_are_survived() {
    let seed = seed();
    println!("seed {seed}");
    let mut dice = Dice::new(seed);
    let files = files(&mut dice, &[2_000_000, 900_000, 400_000]);
    let server = StandIn::start().await;
    server.add("gait", &borrowed(&files));
    let folder = tempfile::tempdir().unwrap();
    let dice = Mutex::new(dice);
    server.harm(move |asked| {
        let mut dice = dice.lock().unwrap();
        let at = dice.below(asked.end - asked.start);
        match dice.below(30) {
            0 | 1 => Harm::Cut(at),
            2 => Harm::Stall(at),
            3 => Harm::Busy(0),
            4 => Harm::Bare(502),
            5 => Harm::Bare(504),
            6 => Harm::OtherRange,
            7 => Harm::Longer,
            _ => Harm::None,
        }
    });
    let mut pull = quick("gait", folder.path());
    pull.retries.tries = 12;
    let done = pulled(&server, &pull).await.unwrap();
    assert_eq!(done.fetched_files, 3);
    let harms = server.asked().iter().filter(|it| it.harm != Harm::None).count();
    assert!(harms > 3, "{harms} harms");
    holds(&folder, &files);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_as_long_as_the_server_asks() {
    let files = files(&mut Dice::new(1), &[1000]);
    let server = StandIn::start().await;
    server.add("gait", &borrowed(&files));
    let folder = tempfile::tempdir().unwrap();
    let number = AtomicUsize::new(0);
    server.harm(move |_| match number.fetch_add(1, Ordering::SeqCst) {
        0 => Harm::Busy(2),
        _ => Harm::None,
    });
    let began = Instant::now();
    pulled(&server, &quick("gait", folder.path())).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    holds(&folder, &files);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_gets_better_ends() {
    let files = files(&mut Dice::new(1), &[1000]);
    let server = StandIn::start().await;
    server.add("gait", &borrowed(&files));
    for harm in [Harm::Stall(10), Harm::Cut(0), Harm::Busy(0), Harm::OtherRange, Harm::Bare(500)] {
        let folder = tempfile::tempdir().unwrap();
        server.harm(move |_| harm);
        let mut pull = quick("gait", folder.path());
        pull.retries.tries = 3;
        let error = pulled(&server, &pull).await.unwrap_err();
        assert!(matches!(error, PullError::Client(_)), "{harm:?}: {error}");
        let tries = if harm == Harm::Bare(500) { 1 } else { 3 };
        assert_eq!(server.asked().len(), tries, "{harm:?}");
    }
}

/// A server, or a proxy, without ranges: the file comes as a whole, once for all pieces.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_ranges_gives_whole_files() {
    let files = files(&mut Dice::new(3), &[1_000_000, 5000]);
    let server = StandIn::start().await;
    server.add("gait", &borrowed(&files));
    let folder = tempfile::tempdir().unwrap();
    let number = AtomicUsize::new(0);
    server.harm(move |_| match number.fetch_add(1, Ordering::SeqCst) {
        0 => Harm::Cut(50_000),
        _ => Harm::NoRange,
    });
    pulled(&server, &quick("gait", folder.path())).await.unwrap();
    holds(&folder, &files);
}

/// What is there is of another content, by its ETag: it is not put together with the rest.
#[tokio::test(flavor = "multi_thread")]
async fn another_etag_begins_anew() {
    let files = files(&mut Dice::new(4), &[90_000]);
    let server = StandIn::start().await;
    server.add("gait", &borrowed(&files));
    let folder = tempfile::tempdir().unwrap();
    server.harm(|_| Harm::Cut(40_000));
    pulled(&server, &once("gait", folder.path())).await.unwrap_err();
    server.next_epoch();
    server.harm(|_| Harm::None);
    server.asked();
    pulled(&server, &once("gait", folder.path())).await.unwrap();
    let asked = server.asked();
    assert!(asked[0].start == 40_000 && asked[0].if_range.is_some(), "{asked:?}");
    holds(&folder, &files);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_is_found_and_the_file_fetched_again() {
    let files = files(&mut Dice::new(5), &[250_000, 1000]);
    let server = StandIn::start().await;
    server.add("gait", &borrowed(&files));
    let folder = tempfile::tempdir().unwrap();
    let number = AtomicUsize::new(0);
    server.harm(move |_| match number.fetch_add(1, Ordering::SeqCst) {
        0 => Harm::Flip(777),
        _ => Harm::None,
    });
    let mut pull = quick("gait", folder.path());
    pull.jobs = 1;
    pulled(&server, &pull).await.unwrap();
    assert_eq!(server.asked().len(), 3 + 3 + 1);
    holds(&folder, &files);
    // For ever: no file gets its name.
    let folder = tempfile::tempdir().unwrap();
    server.harm(|_| Harm::Flip(1));
    let error = pulled(&server, &quick("gait", folder.path())).await.unwrap_err();
    assert!(matches!(&error, PullError::Digest { times: 3, .. }), "{error}");
    assert!(!folder.path().join("curated").exists());
    assert!(!folder.path().join("snapshot.lock").exists());
}
