//! Whether a connection has requests under way, and for how long it has had none.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

/// The requests of one connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Activity(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    begun: AtomicUsize,
    under_way: AtomicUsize,
    changed: Notify,
}

/// A request under way, until all of its clones are dropped.
#[derive(Clone, Debug)]
pub(super) struct Busy(#[expect(dead_code, reason = "held for its drop")] Arc<UnderWay>);

#[derive(Debug)]
struct UnderWay(Arc<Counts>);

impl Activity {
    /// A request begins.
    pub fn begin(&self) -> Busy {
        self.0.begun.fetch_add(1, Ordering::SeqCst);
        self.0.under_way.fetch_add(1, Ordering::SeqCst);
        self.0.changed.notify_one();
        Busy(Arc::new(UnderWay(Arc::clone(&self.0))))
    }

    /// Waits until there was no request for a while: `first` before the first one, `later` behind
    /// another. For one waiter at a time.
    pub async fn idle(&self, first: Duration, later: Duration) {
        loop {
            // A change between here and the wait leaves a permit, so that none is missed.
            let changed = self.0.changed.notified();
            if self.0.under_way.load(Ordering::SeqCst) > 0 {
                changed.await;
                continue;
            }
            let patience = match self.0.begun.load(Ordering::SeqCst) {
                0 => first,
                _ => later,
            };
            if tokio::time::timeout(patience, changed).await.is_err() {
                return;
            }
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
        self.0.changed.notify_one();
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
        let started = std::time::Instant::now();
        activity.idle(FIRST, LATER).await;
        assert!(started.elapsed() < LATER, "the first wait is the short one");
        let busy = activity.begin();
        let other = busy.clone();
        drop(busy);
        let idle = activity.idle(FIRST, LATER);
        assert!(tokio::time::timeout(LATER * 2, idle).await.is_err(), "a request is under way");
        drop(other);
        let started = std::time::Instant::now();
        activity.idle(FIRST, LATER).await;
        assert!(started.elapsed() >= LATER);
    }
}
