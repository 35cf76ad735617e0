//! Long work of any kind: who ends in good order leaves it to the next for as often as it takes; who
//! keeps ending without a word may be ended by it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use stedi_openapi::{Code, MaintenanceRun, Work, WorkState};
use stedi_server::ledger::audit::Action;
use stedi_server::ledger::{Asked, Asker, Attempt, Ended, Kind, LongWork, Recorded, WorkRules};
use stedi_server::promotion::PromotionError;
use tokio::task::JoinHandle;

use crate::support::TestLake;

/// It never comes to an end.
#[derive(Debug)]
struct Endless;

impl Kind for Endless {
    const NAME: &'static str = "endless";
    const FOLDER: &'static str = "system/endless";
    const ONE_AT_A_TIME: bool = false;
    const ACTION: Action = Action::Maintenance;
    const UNKNOWN: Code = Code::MaintenanceNotFound;
    const FULL: Code = Code::Busy;

    type Order = BTreeMap<String, u32>;
    type Run = MaintenanceRun;
    type Error = PromotionError;

    fn queued(_: &Asked<BTreeMap<String, u32>>) -> MaintenanceRun {
        MaintenanceRun { tables: Vec::new() }
    }

    fn recorded(_: &MaintenanceRun) -> Option<Recorded> {
        Some(Recorded::default())
    }

    async fn carry_out(&self, attempt: &Attempt<'_, Self>) -> Result<Ended, PromotionError> {
        attempt.stop.cancelled().await;
        Ok(Ended::Stopped)
    }
}

/// A server that works.
struct Server {
    work: LongWork<Endless>,
    task: JoinHandle<()>,
}

impl Server {
    fn start(lake: &TestLake) -> Self {
        let hour = Duration::from_secs(3600);
        let rules = WorkRules { queued: 2, lease: Duration::from_secs(3), keep: hour };
        let work = LongWork::new(&lake.app.lake, Endless, lake.app.audit.clone(), rules);
        let working = work.clone();
        Self { work, task: tokio::spawn(async move { working.keep_working().await }) }
    }

    async fn until(&self, id: &str, holds: impl Fn(&Work<MaintenanceRun>) -> bool) {
        let began = Instant::now();
        loop {
            let run = self.work.get(id).await.unwrap();
            if holds(&run) {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(30), "{run:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn until_attempt(&self, id: &str, attempts: u32) {
        let taken = |run: &Work<_>| run.attempts == attempts && run.state == WorkState::Running;
        self.until(id, taken).await;
    }
}

async fn asked(server: &Server) -> String {
    server.work.ask(Asker::service(), BTreeMap::new(), None).await.unwrap().id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_in_good_order_is_held_against_nobody() {
    let lake = TestLake::new().await;
    let mut server = Server::start(&lake);
    let id = asked(&server).await;
    for attempt in 1..=7 {
        server.until_attempt(&id, attempt).await;
        server.work.stop();
        server.task.await.unwrap();
        server = Server::start(&lake);
    }
    server.until_attempt(&id, 8).await;
    assert_eq!(server.work.cancel(&id).await.unwrap().state, WorkState::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_keeps_ending_its_servers_has_failed() {
    let lake = TestLake::new().await;
    let mut server = Server::start(&lake);
    let id = asked(&server).await;
    for attempt in 1..=4 {
        server.until_attempt(&id, attempt).await;
        // As when the process is killed.
        server.task.abort();
        server = Server::start(&lake);
    }
    server.until(&id, |run| run.state == WorkState::Failed).await;
    let run = server.work.get(&id).await.unwrap();
    let detail = run.error.unwrap().detail;
    assert_eq!(detail, "the servers that carried it out ended before it did");
    // Others go on, up to as many as may wait.
    let next = asked(&server).await;
    server.until_attempt(&next, 1).await;
    asked(&server).await;
    let error = server.work.ask(Asker::service(), BTreeMap::new(), None).await.unwrap_err();
    assert_eq!(error.to_string(), "2 of endless wait already; try again");
}
