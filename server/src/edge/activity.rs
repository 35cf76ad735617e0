//! What the requests of one connection are doing: whether there are any, and whether they wait for
//! a client that takes nothing of its answers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// The requests of one connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Activity(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    requests: Mutex<Requests>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Requests {
    begun: u64,
    /// Each request under way; since when it waits for the client, if it does.
    under_way: HashMap<u64, Option<Instant>>,
}

impl Shared {
    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request under way, until all of its clones are dropped.
#[derive(Clone, Debug)]
pub(super) struct Busy(Arc<UnderWay>);

#[derive(Debug)]
struct UnderWay {
    shared: Arc<Shared>,
    number: u64,
}

impl Activity {
    /// A request begins.
    pub fn begin(&self) -> Busy {
        let mut requests = self.0.requests();
        requests.begun += 1;
        let number = requests.begun;
        requests.under_way.insert(number, None);
        drop(requests);
        self.0.changed.notify_one();
        Busy(Arc::new(UnderWay { shared: Arc::clone(&self.0), number }))
    }

    /// Waits until there was no request for a while: `first` before the first one, `later` behind
    /// another. For one waiter at a time.
    pub async fn idle(&self, first: Duration, later: Duration) {
        loop {
            // A change between here and the wait leaves a permit, so that none is missed.
            let changed = self.0.changed.notified();
            let (begun, none) = {
                let requests = self.0.requests();
                (requests.begun > 0, requests.under_way.is_empty())
            };
            if !none {
                changed.await;
                continue;
            }
            let patience = if begun { later } else { first };
            if tokio::time::timeout(patience, changed).await.is_err() {
                return;
            }
        }
    }

    /// Waits until the client has taken nothing of some answer for a while, or a little longer.
    pub async fn stalled(&self, patience: Duration) {
        let waits = |since: &Option<Instant>| since.is_some_and(|since| since.elapsed() > patience);
        while !self.0.requests().under_way.values().any(waits) {
            tokio::time::sleep(patience / 4).await;
        }
    }
}

impl Busy {
    /// Some of its answer is ready; it is the client's turn.
    pub fn handed_over(&self) {
        self.set(Some(Instant::now()));
    }

    /// The client has taken it; it is the server's turn.
    pub fn taken(&self) {
        self.set(None);
    }

    fn set(&self, since: Option<Instant>) {
        self.0.shared.requests().under_way.insert(self.0.number, since);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.shared.requests().under_way.remove(&self.number);
        self.shared.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(40);
    const LATER: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn idle_only_when_nothing_is_under_way() {
        let activity = Activity::default();
        let started = Instant::now();
        activity.idle(FIRST, LATER).await;
        assert!(started.elapsed() < LATER, "the first wait is the short one");
        let busy = activity.begin();
        let other = busy.clone();
        drop(busy);
        let idle = activity.idle(FIRST, LATER);
        assert!(tokio::time::timeout(LATER * 2, idle).await.is_err(), "a request is under way");
        drop(other);
        let started = Instant::now();
        activity.idle(FIRST, LATER).await;
        assert!(started.elapsed() >= LATER);
    }

    #[tokio::test]
    async fn stalled_only_when_it_is_the_clients_turn() {
        let activity = Activity::default();
        let (working, slow) = (activity.begin(), activity.begin());
        working.handed_over();
        working.taken();
        let reading = async {
            for _ in 0..10 {
                slow.handed_over();
                tokio::time::sleep(LATER / 4).await;
                slow.taken();
            }
        };
        tokio::select! {
            () = activity.stalled(LATER) => panic!("a slow reader reads, and the other works"),
            () = reading => {}
        }
        slow.handed_over();
        let started = Instant::now();
        activity.stalled(LATER).await;
        assert!(started.elapsed() >= LATER);
        drop(slow);
        let stalled = activity.stalled(LATER);
        assert!(tokio::time::timeout(LATER * 2, stalled).await.is_err(), "it is gone");
        drop(working);
    }
}
